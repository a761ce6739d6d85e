"""The network between the sites and the hub: what is sent may be lost, late, doubled, overtaken or answered wrongly."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from farshore_agent.forward.hub_http import refusal
from farshore_agent.forward.link import LinkDown
from farshore_agent.net.messages import Response
from farshore_protocol.ports import Clock
from tests.simulation.loop import Context

if TYPE_CHECKING:
    from tests.simulation.hub import SimHub

Named = tuple[bytes, str]
"""An incarnation and a stream."""

_OK: Final = 200
_TOTAL_S: Final = 60.0
_LATE_S: Final = 300.0


@dataclass(frozen=True)
class Question:
    """A request as the hub's web server sees it.

    Attributes:
        chain: the client certificate (PEM), if there is one.
        heads: what the sender has promised to its producers before it made this, by incarnation and stream. It does not
            travel; the oracle asks whether the hub knows as much when it has answered.
    """

    method: str
    path: str
    body: bytes
    chain: str = ""
    heads: Mapping[Named, int] = field(default_factory=dict)


@dataclass
class Weather:
    """How bad it is; each is a share of the messages.

    Attributes:
        late: of messages that take minutes, so that later ones overtake them.
        stale: of answers that are replaced by the one before, as a broken cache would.
    """

    lost: float = 0.0
    doubled: float = 0.0
    late: float = 0.0
    stale: float = 0.0


class Network:
    """Carries questions and answers.

    Attributes:
        cut: sites that nothing comes from and nothing goes to.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, rng: random.Random) -> None:
        self.weather = Weather()
        self.cut: set[str] = set()
        self.hub: SimHub | None = None
        self.carried = 0
        self._loop = loop
        self._rng = rng
        self._answers: dict[tuple[str, str], Response] = {}

    async def ask(self, node: str, question: Question) -> Response:
        """Bring a question to the hub and its answer back, if both arrive.

        Raises:
            LinkDown: nobody listens there.
        """
        answered: asyncio.Future[Response | None] = self._loop.create_future()

        def answer(response: Response | None) -> None:
            if not answered.done():
                answered.set_result(response)

        def arrive() -> None:
            hub = self.hub
            if hub is None or not hub.is_up:
                self._carry(node, lambda: answer(None))
                return
            hub.serve(
                question, lambda response: self._carry(node, lambda: answer(self._kept(node, question, response)))
            )

        self._carry(node, arrive)
        response = await answered
        if response is None:
            raise LinkDown("connection refused")
        return response

    def _kept(self, node: str, question: Question, response: Response) -> Response:
        before = self._answers.get((node, question.path))
        self._answers[node, question.path] = response
        return before if before is not None and self._rng.random() < self.weather.stale else response

    def _carry(self, node: str, deliver: Callable[[], None]) -> None:
        """One way. What a process has sent travels on when it is dead."""
        rng, weather = self._rng, self.weather
        for _ in range(1 + (rng.random() < weather.doubled)):
            if node in self.cut or rng.random() < weather.lost:
                continue
            delay_s = rng.uniform(0.01, 1.0) + (rng.random() * _LATE_S if rng.random() < weather.late else 0.0)
            self._loop.call_later(delay_s, self._arrive, node, deliver, context=Context())

    def _arrive(self, node: str, deliver: Callable[[], None]) -> None:
        if node not in self.cut:
            self.carried += 1
            deliver()


class Door:
    """A `HubDoor` of one process."""

    def __init__(self, road: SimRoad, *, trusts: str | None, chain: str) -> None:
        self._network = road.network
        self._node = road.node
        self._clock = road.clock
        self._promised = road.promised
        self._trusts = trusts
        self._chain = chain
        self._heads: Mapping[Named, int] = {}

    @property
    def address(self) -> str:
        return "hub.simulated:443"

    async def ask(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        content_type: str = "",
        headers: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
    ) -> bytes:
        hub = self._network.hub
        if hub is not None and self._trusts is not None and hub.ca not in self._trusts:
            raise LinkDown("the hub's certificate is not trusted", untrusted=True)
        if hub is not None and self._chain and not hub.trusts(self._chain):
            raise LinkDown("the connection ended: the hub does not trust the site's certificate")
        try:
            async with asyncio.timeout(timeout_s or _TOTAL_S):
                question = Question(method, path, body, self._chain, self._heads)
                response = await self._network.ask(self._node, question)
        except TimeoutError:
            raise LinkDown("no answer in time", timed_out=True) from None
        finally:
            # What is made for the next question is made after this moment.
            self._heads = dict(self._promised)
        if response.status == _OK:
            return response.body
        raise refusal(response, self._clock.now_us())

    async def ask_any(self, method: str, path: str, body: bytes = b"", *, content_type: str = "") -> bytes:
        return await self.ask(method, path, body, content_type=content_type)

    async def close(self) -> None:
        pass


@dataclass(frozen=True)
class SimRoad:
    """A `farshore_agent.identity.road.Road` over the simulated network."""

    network: Network
    node: str
    clock: Clock
    promised: Mapping[Named, int]

    def __call__(self, addresses: Sequence[str], *, ca: str | None, chain: Path | None = None) -> Door:
        certificate = chain.read_text() if chain else ""
        return Door(self, trusts=ca, chain=certificate)
