"""What can go wrong: each fault happens to a world at one moment, and heals later where it is one that heals."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from farshore_hub.fleet.key_files import Kind
from farshore_protocol.limits import MAX_KEYRING_AUTHORITIES
from tests.simulation.disk import Disk, DiskFault, Trouble
from tests.simulation.network import Weather
from tests.simulation.ports import DAY_S

if TYPE_CHECKING:
    from tests.simulation.hub import SimHub
    from tests.simulation.site import SimSite
    from tests.simulation.world import World

YEAR_S: Final = 365 * DAY_S
MAX_CLONES: Final = 2
_BACKUPS: Final = 4
_LONG_TIMES: Final = 2
_LONG_DAYS: Final = 190
"""Twice that is less than the grace in which an ended certificate can still be renewed."""


def _some_site(world: World) -> SimSite:
    return world.rng.choice(list(world.sites.values()))


def agent_dies(world: World) -> None:
    site = _some_site(world)
    if site.is_up:
        _light(world, site)


def hub_dies(world: World) -> None:
    if world.hub.is_up:
        _light(world, world.hub)


def _light(world: World, machine: SimHub | SimSite) -> None:
    """It dies at once, or some statements later."""
    if world.rng.random() < 0.2:
        machine.crash(world.rng.expovariate(1 / 60))
    else:
        machine.process.fuse = world.rng.randint(1, 250)


def agent_stops(world: World) -> None:
    site = _some_site(world)
    if site.is_up:
        site.stop()


def bad_weather(world: World) -> None:
    rng = world.rng
    if rng.random() < 0.3:
        world.network.weather = Weather()
    else:
        world.network.weather = Weather(rng.random() * 0.5, rng.random() * 0.4, rng.random() * 0.3, rng.random() * 0.2)
    world.say(f"weather: {world.network.weather}")


def partition(world: World) -> None:
    _cut_off(world, _some_site(world))


def _cut_off(world: World, site: SimSite) -> None:
    cut = world.network.cut
    if site.name not in cut:
        cut.add(site.name)
        length_s = world.rng.expovariate(1 / (4 * world.plan.gap_s))
        world.say(f"{site.name} is cut off for {length_s:.0f} s")
        world.later(length_s, lambda: cut.discard(site.name))


def _trouble(world: World, disk: Disk, whose: str, trouble: Trouble) -> None:
    share = world.rng.choice([0.05, 0.3, 1.0])
    length_s = world.rng.expovariate(1 / (2 * world.plan.gap_s))
    disk.fault = DiskFault(trouble, share, world.rng)
    world.say(f"{whose}'s disk: {trouble.value}, {share:.0%} of the statements, for {length_s:.0f} s")

    def heal() -> None:
        disk.fault = None

    world.later(length_s, heal)


def agent_disk_full(world: World) -> None:
    site = _some_site(world)
    _trouble(world, site.disk, site.name, Trouble.FULL)


def agent_disk_errors(world: World) -> None:
    site = _some_site(world)
    _trouble(world, site.disk, site.name, Trouble.ERRORS)


def hub_disk_full(world: World) -> None:
    _trouble(world, world.hub.disk, "hub", Trouble.FULL)


def hub_disk_errors(world: World) -> None:
    _trouble(world, world.hub.disk, "hub", Trouble.ERRORS)


def clock_jumps(world: World) -> None:
    site, rng = _some_site(world), world.rng
    site.clock.offset_s = rng.choice([0.0, rng.uniform(-3600, 3600), rng.uniform(-10, 10) * YEAR_S, -56 * YEAR_S])
    world.say(f"{site.name}'s clock is {site.clock.offset_s:.0f} s off")


def clock_drifts(world: World) -> None:
    site = _some_site(world)
    site.clock.run_at(world.rng.uniform(0.8, 1.25))
    world.say(f"{site.name}'s clock runs at {site.clock.rate:.2f}")


def agent_restored(world: World) -> None:
    site = _some_site(world)
    if site.backup is None or world.rng.random() < 0.4:
        site.backup = site.image()
        world.say(f"{site.name}: backup")
    else:
        world.say(f"{site.name} is restored from its backup")
        world.count("agent restored")
        site.restore(site.backup)


def agent_disk_lost(world: World) -> None:
    site = _some_site(world)
    world.say(f"{site.name} gets a new disk; its identity was kept")
    world.count("agent disk lost")
    site.restore({name: raw for name, raw in site.image().items() if name.startswith("identity")})


def agent_cloned(world: World) -> None:
    site = _some_site(world)
    twin = _double(world, site)
    if twin is not None:
        world.count("agent cloned")
        world.say(f"{site.name} is cloned to {twin.name}")
        twin.boot()


def snapshot_resumed_twice(world: World) -> None:
    site = _some_site(world)
    if site.agent is None or site.agent.delivery._courier is None:
        return
    twin = _double(world, site)
    if twin is not None:
        world.truth.doubled = True
        world.count("snapshot resumed twice")
        world.say(f"{site.name} goes on twice, as itself and as {twin.name}")
        twin.boot(replay=tuple(site.dice.drawn))
        if world.rng.random() < 0.7:
            # One of them is quicker: what the other has is under sequences that are taken by then.
            _cut_off(world, world.rng.choice([site, twin]))


def _double(world: World, site: SimSite) -> SimSite | None:
    if len(world.sites) >= world.plan.sites + MAX_CLONES:
        return None
    return world.add_machine(f"{site.name}'", site.site, site.image())


def hub_restored(world: World) -> None:
    hub, rng = world.hub, world.rng
    if not hub.backups or rng.random() < 0.4:
        hub.back_up()
    else:
        oldest = 0 if "short retention" in world.plan.kinds else max(0, len(hub.backups) - _BACKUPS)
        hub.restore(rng.randrange(oldest, len(hub.backups)))


def months_offline(world: World) -> None:
    site, rng = _some_site(world), world.rng
    if world.counts["months pass"] == _LONG_TIMES:
        return
    world.count("months pass")
    length_s = rng.uniform(20, _LONG_DAYS) * DAY_S
    world.say(f"{length_s / DAY_S:.0f} days pass, and {site.name} is not heard")
    if rng.random() < 0.5:
        site.kill()
    world.network.cut.add(site.name)
    world.pass_time(length_s)
    world.quiet_s = length_s

    def heal() -> None:
        world.network.cut.discard(site.name)
        site.boot()

    world.later(length_s, heal)


def nothing(world: World) -> None:
    """A kind that is a setting."""


def keys_rotated(world: World) -> None:
    """The operator makes other keys, and perhaps retires the old ones at once, whoever is away just then."""
    hub, rng = world.hub, world.rng
    kinds = set(rng.sample(sorted(Kind), rng.randint(1, len(Kind))))
    if len(hub.keys.private.authorities) == MAX_KEYRING_AUTHORITIES:
        kinds.discard(Kind.CA)
    if kinds:
        hub.change_keys(kinds, retire=False)
    private = hub.keys.private
    there = {Kind.SIGNING: len(private.signing), Kind.CA: len(private.authorities)}
    several = {kind for kind, count in there.items() if count > 1}
    if several and rng.random() < 0.5:
        hub.change_keys(several, retire=True)


FAULTS: Final[dict[str, Callable[[World], None]]] = {
    "agent dies": agent_dies,
    "agent stops": agent_stops,
    "hub dies": hub_dies,
    "bad weather": bad_weather,
    "partition": partition,
    "agent's disk full": agent_disk_full,
    "agent's disk errors": agent_disk_errors,
    "hub's disk full": hub_disk_full,
    "hub's disk errors": hub_disk_errors,
    "clock jumps": clock_jumps,
    "clock drifts": clock_drifts,
    "agent restored": agent_restored,
    "agent's disk lost": agent_disk_lost,
    "agent cloned": agent_cloned,
    "snapshot resumed twice": snapshot_resumed_twice,
    "hub restored": hub_restored,
    "months offline": months_offline,
    "keys rotated": keys_rotated,
    "buffer full": partition,
    "short retention": nothing,
    "short age": partition,
    "never restored": nothing,
}
