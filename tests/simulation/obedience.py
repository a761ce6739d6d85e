"""What machines make of their orders, and what has to hold of it.

A command is done at most once, an older settings document never takes the place of a newer one, and what a site
reports is what it has in force, and what its hub knows. All of it per life of a disk: a machine that is replaced by an
older copy of itself cannot know what it did since, and its clone does not know either.
"""

from __future__ import annotations

import tomllib
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from farshore_agent.app import Agent
from farshore_agent.orders import reporting
from farshore_agent.orders.commands import Arguments, Done, Duty
from farshore_agent.orders.state import State
from farshore_protocol.orders import Command
from tests.simulation.orders import LABEL

if TYPE_CHECKING:
    from tests.simulation.site import SimSite
    from tests.simulation.world import World


@dataclass
class Obedience:
    """What a disk has seen of orders.

    Attributes:
        settings, kept, command: the highest numbers so far: of settings that came, of those in force, of commands.
        done: numbers of the commands that were begun.
    """

    settings: int = 0
    kept: int = 0
    command: int = 0
    done: set[int] = field(default_factory=set)

    def note(self, state: State) -> Iterator[str]:
        """The machine's state is this now; what is wrong with that."""
        kept = state.kept.number if state.kept else 0
        now = {"settings": state.settings_number, "kept": kept, "command": state.command_number}
        for name, number in now.items():
            if number < (before := getattr(self, name)):
                yield f"{name} {number} has taken the place of {before}, which is newer"
            setattr(self, name, number)
        trial = state.trial
        if trial is not None and trial.pushed.number <= kept:
            yield f"settings {trial.pushed.number} are tried, and {kept} are in force, which are no older"

    def begin(self, number: int) -> Iterator[str]:
        """A command is begun."""
        if number in self.done:
            yield f"the command {number} is done twice"
        self.done.add(number)


def watch(site: SimSite, agent: Agent) -> None:
    """Have everything noted that an agent does about orders."""
    book, commands, orders = agent._book, agent._commands, agent.orders
    change, obey, take = book.change, commands._obey, orders.take
    number_now = 0

    def tell(found: Iterator[str]) -> None:
        site.world.wrong += [f"{site.name}: {each}" for each in found]

    async def changing(step: Callable[[State], State]) -> State:
        state = await change(step)
        tell(site.obedience.note(state))
        return state

    async def obeying(number: int, command: Command) -> None:
        nonlocal number_now
        number_now = number
        await obey(number, command)

    def counted(duty: Duty) -> Duty:
        def begin(arguments: Arguments) -> Awaitable[Done]:
            site.world.count("command begun")
            tell(site.obedience.begin(number_now))
            return duty(arguments)

        return begin

    def taking(raw: bytes) -> None:
        site.world.operator.came(site, raw)
        take(raw)

    tell(site.obedience.note(book.state))
    book.change = changing  # type: ignore[method-assign]
    commands._obey = obeying  # type: ignore[method-assign]
    commands.duties = {name: counted(duty) for name, duty in commands.duties.items()}
    orders.take = taking  # type: ignore[method-assign]


def audit(site: SimSite) -> Iterator[str]:
    """What a site reports is what it has in force; looked at when nothing is on its way between the two."""
    agent = site.agent
    if agent is None or agent._book.state.trial is not None:
        return
    state = agent._book.state
    running = state.running.number if state.running else 0
    if state.settings is not None and state.settings.running != running:
        yield f"{site.name} reports settings {state.settings.running}, and {running} are to be in force"
    if agent.steward is not None and agent.steward._brought == (state.running,):
        wanted = tomllib.loads(state.running.settings) if state.running else {}
        found = agent.running.settings.site_labels.get(LABEL, "")
        if found != wanted.get("site_labels", {}).get(LABEL, ""):
            yield f"{site.name} has {found!r} in force, and {running} are to be"
        if found and found.split()[0] != site.site:
            yield f"{site.name} has settings in force that are another's: {found!r}"


def is_settled(world: World) -> bool:
    """Whether the hub waits for no site's word; of sites with a double it may, for they take turns."""
    return not world.hub.is_up or not list(_open(world))


def judge(world: World) -> Iterator[str]:
    """What a hub knows of its sites in the end is what they say of themselves, and no order was forgotten."""
    yield from (f"{site}: order {number} ({kind}) is still {state}" for site, kind, number, state in _open(world))
    query = "SELECT s.name, r.running, r.latest, r.outcome FROM site_reports r JOIN sites s ON s.id = r.site_id"
    known = {site: told for site, *told in world.hub.looked_at().execute(query)}
    for site in _single(world):
        if site.agent is None:
            continue
        state = site.agent._book.state
        if not reporting.is_heard(state):
            yield f"{site.name}: the hub has report {state.heard}, the newest is {state.spoken.number}"
        elif state.settings is not None:
            world.count(f"settings {state.settings.outcome}")
            said = [state.settings.running, state.settings.latest, state.settings.outcome.value]
            if known.get(site.site) != said:
                yield f"{site.name} reports {said}, the hub knows {known.get(site.site)}"


def _open(world: World) -> Iterator[tuple[str, str, int, str]]:
    single = {site.site for site in _single(world)}
    query = "SELECT s.name, o.kind, o.number, o.state FROM orders o JOIN sites s ON s.id = o.site_id"
    for row in world.hub.looked_at().execute(f"{query} WHERE o.state <> 'settled'"):
        if row[0] in single:
            yield row


def _single(world: World) -> list[SimSite]:
    """The machines that are the only ones of their site."""
    machines = list(world.sites.values())
    return [each for each in machines if sum(other.site == each.site for other in machines) == 1]
