"""The simulated hub: its shipped receiver, ledger and fleet on a real SQLite file, behind its web's doors."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Final, Literal

import apsw
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from sqlalchemy.exc import OperationalError

from farshore_agent.net.messages import Response
from farshore_hub import settings
from farshore_hub.app import opened_receiver
from farshore_hub.errors import HubError, NotReady, Unauthenticated, of_protocol
from farshore_hub.fleet import signin, sites
from farshore_hub.fleet.enrol import enrol
from farshore_hub.fleet.key_files import CHAIN, Kind, packed_chain
from farshore_hub.fleet.keys import HubKeys
from farshore_hub.fleet.renew import renew
from farshore_hub.initialise import Stores, initialise
from farshore_hub.keys.planning import retirement, rotation
from farshore_hub.opening import OpenedHub, fleet_of
from farshore_hub.receive.opener import BatchOpener
from farshore_hub.receive.receiver import Receiver
from farshore_hub.settings import HubSettings, Place
from farshore_hub.web.problems import problem_of
from farshore_protocol import wire
from farshore_protocol.errors import ProtocolError
from farshore_protocol.keyring import pack_chain
from farshore_protocol.limits import MAX_PARCEL_BYTES
from farshore_protocol.messages import STATEMENT
from farshore_protocol.parcel import parse_parcel
from farshore_protocol.ports import Runner
from farshore_shell.files import write_private
from farshore_shell.system import World as Outside
from farshore_shell.system import real_world
from tests.simulation import oracle
from tests.simulation.disk import DISKS, HUB, Disk, Image, image_of, lay_out, looking_at, point_to
from tests.simulation.loop import Process
from tests.simulation.network import Question
from tests.simulation.ports import Dice, Timepiece, Worker

if TYPE_CHECKING:
    from tests.simulation.world import World

ADDRESS: Final = "https://hub.simulated:443"
Archive = Literal["never", "stored"]
_DOWN_S: Final = 60.0


@dataclass(frozen=True)
class Blank:
    """A hub as `farshore-hub init` makes it: made once, copied for every seed. Its keys are in no way special."""

    image: Image
    key_files: Image
    settings: HubSettings
    keys: HubKeys


@cache
def blank_hub() -> Blank:
    """The hub that every world begins with."""
    folder = Path(mkdtemp(prefix="farshore-hub-"))
    try:
        outside = real_world()
        initialise(folder, [ADDRESS], None, Stores(), outside.clock, outside.random)
        place = settings.load(folder)
        image = {name: content for name, content in image_of(folder).items() if name.startswith("hub.db")}
        return Blank(image, image_of(place.keys), place.settings, HubKeys.load(place.keys))
    finally:
        shutil.rmtree(folder)


@dataclass(frozen=True)
class Backup:
    """A copy of the hub's database; `known` is what sites had told the hub by then (see `oracle`)."""

    taken_s: float
    image: Image
    known: dict[tuple[str, bytes, str], int]


class SimHub:
    """The hub's machine.

    Attributes:
        backups: every one that it could be restored from.
        known: by site, incarnation and stream: the head that the hub must know of.
    """

    def __init__(self, world: World, archive: Archive) -> None:
        blank = blank_hub()
        self.world = world
        self.clock = Timepiece(world.loop)
        self.disk = Disk()
        self.backups: list[Backup] = []
        self.known: dict[tuple[str, bytes, str], int] = {}
        self.boots = 0
        self.process = Process(HUB, self.kill)
        self.process.alive = False
        self._blank = blank
        self._settings = blank.settings.model_copy(
            update={"retention": blank.settings.retention.model_copy(update={"archive": archive})}
        )
        self._image = blank.image
        self._folder = world.folder / "hub-0"
        self._receiver: Receiver | None = None
        # Files of its own they have when something is done with them.
        self._keys = HubKeys(world.folder / "keys", blank.keys.hub, blank.keys.private, None)
        self._hub: OpenedHub | None = None
        self._run: Runner | None = None
        self._eye: apsw.Connection | None = None

    @property
    def is_up(self) -> bool:
        return self.process.alive

    @property
    def keys(self) -> HubKeys:
        return self._keys

    @property
    def ca(self) -> str:
        return self._keys.ca.pem.decode()

    def trusts(self, chain: str) -> bool:
        """Whether a client certificate is of an authority that is not retired."""
        return any(_issued(each.pem.decode(), chain) for each in self._keys.private.authorities)

    @property
    def database(self) -> Path:
        return self._folder / "hub.db"

    def looked_at(self) -> apsw.Connection:
        """The running hub's database, for the oracle: one connection for all looks, for opening costs most."""
        if self._eye is None:
            self._eye = looking_at(self.database)
        return self._eye

    # ---------------------------------------------------------- life and death

    def boot(self) -> None:
        """Start with what is on the disk."""
        if self.is_up:
            return
        self.boots += 1
        world, self.clock.booted_s = self.world, self.clock.seconds()
        self._folder = world.folder / f"hub-{self.boots}"
        lay_out(self._image, self._folder)
        rng = random.Random(f"{world.seed} hub {self.boots}")
        self.process = process = Process(HUB, lambda: self.crash(rng.expovariate(1 / _DOWN_S)))
        DISKS[process] = self.disk
        outside = Outside(self.clock, Dice(rng))
        place = Place(self._folder, self._settings)
        engine, keys = point_to(self.database), self._keys
        self._hub = hub = OpenedHub(place, keys, engine, fleet_of(place, keys, engine, outside))

        def threads(_stack: ExitStack, _name: str, _count: int) -> Runner:
            return Worker(process, rng)

        self._run = Worker(process, rng)
        self._receiver = opened_receiver(hub, BatchOpener(engine, keys), threads).__enter__()
        world.say("hub starts")

    def kill(self) -> None:
        """As SIGKILL, or a power cut that loses nothing that was synced."""
        if self.is_up:
            self._image = image_of(self._folder)
            self.process.alive = False
            self.world.loop.bury()
            self.close_eye()
            shutil.rmtree(self._folder)
            self.world.count("hub killed")
            self.world.say(f"hub dies at point {self.process.points}")

    def close_eye(self) -> None:
        """Look no more at what is there now."""
        if self._eye is not None:
            self._eye.close()
            self._eye = None

    def crash(self, down_s: float) -> None:
        """Die, and come back after a while."""
        self.kill()
        self.world.later(down_s, self.boot)

    def back_up(self) -> None:
        """Copy the database."""
        self._image = image_of(self._folder) if self.is_up else self._image
        self.backups.append(Backup(self.world.loop.time(), self._image, dict(self.known)))
        self.world.say(f"hub: backup {len(self.backups) - 1}")

    def restore(self, number: int) -> None:
        """Go back to a backup; whoever runs is killed."""
        self.kill()
        self._image, self.known = self.backups[number].image, dict(self.backups[number].known)
        self.world.count("hub restored")
        self.world.say(f"hub is restored from backup {number}")
        self.world.truth.hub_restored(self._image)
        self.boot()

    def image(self) -> Image:
        """The database as it is now."""
        return image_of(self._folder) if self.is_up else self._image

    # -------------------------------------------------------------- operator

    def add_site(self, name: str) -> str:
        """A join token; the operator is at the console before anything goes wrong."""
        assert self._hub is not None
        return sites.add(self._hub.fleet, name, 86_400)

    def govern(self, work: Callable[[OpenedHub], object]) -> None:
        """Have the operator's work done in the hub's process, where it may fail as everything may there."""
        hub, run = self._hub, self._run
        if not self.is_up or hub is None or run is None:
            return

        async def done() -> None:
            try:
                await run(lambda: work(hub))
            except (HubError, OperationalError):
                self.world.count("order not given")

        self.world.keep(self.world.loop.create_task(done(), context=self.process.context()))

    def change_keys(self, kinds: set[Kind], *, retire: bool) -> None:
        """Rotate keys, or retire those that were rotated away, as `farshore-hub keys` does; the hub may run."""
        folder, private = self._keys.folder, self._keys.private
        if not folder.exists():
            lay_out(self._blank.key_files, folder)
        if retire:
            change = retirement(private, kinds, self.clock)
        else:
            change = rotation(private, kinds, self.clock, real_world().random)
        lay_out(change.files, folder)
        write_private(folder / CHAIN, packed_chain([*self._keys.chain, change.signed]))
        self.world.count("keys retired" if retire else "keys rotated")
        self.world.say(f"hub: {'retired' if retire else 'rotated'} {', '.join(sorted(kinds))}")

    # ----------------------------------------------------------------- doors

    def serve(self, question: Question, reply: Callable[[Response], None]) -> None:
        """Answer a question in the hub's process; no reply if that dies."""

        async def answer() -> None:
            reply(await self._answer(question))

        context = self.process.context()
        self.world.keep(self.world.loop.create_task(answer(), context=context))

    async def _answer(self, question: Question) -> Response:
        """What `web` makes of a question: the body of a good answer, or a problem document."""
        try:
            return Response(200, await self._routed(question))
        except HubError as error:
            found = error
        except ProtocolError as error:
            found = of_protocol(error)
        except OperationalError:
            found = NotReady("the database does not answer, or has no room", remedy="try again later")
        problem = problem_of(found)
        return Response(problem.status_code, bytes(problem.body), dict(problem.headers))

    async def _routed(self, question: Question) -> bytes:
        """The routes of `web.routes.sites_door`."""
        hub, run = self._hub, self._run
        assert hub is not None
        assert run is not None
        if question.path == "/v1/ca":
            return hub.fleet.keys.ca.pem
        if question.path.startswith("/v1/keyrings?after="):
            return pack_chain(hub.fleet.keys.chain_after(int(question.path.rpartition("=")[2])))
        if question.path == "/v1/enrol":
            return await run(lambda: enrol(hub.fleet, question.body))
        if question.path == "/v1/renew":
            peer = signin.peer_of(question.chain) if question.chain else None
            return await run(lambda: renew(hub.fleet, question.body, peer))
        assert question.path == "/v1/parcels", question.path
        return await self._receive(question, await self._signed_in(question))

    async def _receive(self, question: Question, site: str) -> bytes:
        assert self._receiver is not None
        answer = await self._receiver.receive(question.body, site)
        self._note_known(site, question)
        return answer

    def _note_known(self, site: str, question: Question) -> None:
        """An answered statement has told the hub of every record that was promised before it was made."""
        packed = parse_parcel(question.body).statement
        statement = wire.unpack(STATEMENT, packed, what="statement", max_bytes=MAX_PARCEL_BYTES)
        claimed = {(claim.incarnation, claim.stream) for claim in statement.claims}
        for named, head in question.heads.items():
            if named in claimed or (statement.whole and named[0] == statement.incarnation):
                self.known[site, *named] = max(head, self.known.get((site, *named), 0))
        self.world.wrong += oracle.ignorance(self)

    async def _signed_in(self, question: Question) -> str:
        hub, run = self._hub, self._run
        assert hub is not None
        assert run is not None
        if not question.chain:
            raise Unauthenticated("this route is for sites")
        peer = signin.peer_of(question.chain)
        return await run(lambda: signin.site_of(hub.fleet, peer))


@lru_cache(maxsize=4096)
def _issued(authority: str, chain: str) -> bool:
    ca, certificate = (x509.load_pem_x509_certificate(each.encode()) for each in (authority, chain))
    try:
        certificate.verify_directly_issued_by(ca)
    except (ValueError, InvalidSignature):
        return False
    return True
