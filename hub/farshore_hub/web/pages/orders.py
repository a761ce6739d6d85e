"""The page of rollouts and of desired against reported settings, and what may be done there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import APIRouter, Path, Request
from fastapi.responses import HTMLResponse, Response, StreamingResponse

from farshore_hub.fleet.api_tokens import Role
from farshore_hub.fleet.sessions import Session
from farshore_hub.orders.rollout import RolloutState
from farshore_hub.orders.rollouts import RolloutDesk
from farshore_hub.orders.views import Agreement, DeedView, RolloutView, SteeredView, SteeringView
from farshore_hub.watch.desk import MAX_ID
from farshore_hub.web.pages.live import Pieces
from farshore_hub.web.pages.reading import Reading
from farshore_hub.web.pages.render import html, page
from farshore_hub.web.pages.route import Page, PageRoute, frame, seen_other
from farshore_hub.web.pages.routes import shown_before, told
from farshore_hub.web.pages.signing import Operating, Viewing, read_deed
from farshore_hub.web.services import Hub

router: Final = APIRouter(route_class=PageRoute, include_in_schema=False)

URL: Final = "/orders"
ROWS: Final = 200
"""Sites on the page; those that need somebody first."""

_DEEDS: Final = 30
_ROLLOUTS: Final = 10
_PARTS: Final = ("rollouts", "sites", "deeds")
_FIRST: Final = (
    *(Agreement.ROLLED_BACK, Agreement.REFUSED, Agreement.DRIFTED, Agreement.PROBING, Agreement.ORDERED),
    *(Agreement.UNKNOWN, Agreement.NONE, Agreement.CURRENT),
)
_MAY: Final = {
    RolloutState.RUNNING: ("pause", "abort"),
    RolloutState.PAUSED: ("resume", "abort"),
    RolloutState.HALTED: ("resume", "abort"),
}

Number = Annotated[int, Path(ge=1, le=MAX_ID)]


@dataclass(frozen=True, slots=True)
class OrdersPage:
    """What the page shows; with the session of whoever may do something."""

    report: SteeringView
    rollouts: list[RolloutView]
    deeds: list[DeedView]
    session: Session | None

    @property
    def shown(self) -> list[SteeredView]:
        """The sites on the page."""
        return sorted(self.report.sites, key=lambda each: (_FIRST.index(each.agreement), each.site))[:ROWS]

    @property
    def more(self) -> int:
        """How many are not on it."""
        return max(0, len(self.report.sites) - ROWS)

    def deeds_of(self, rollout: RolloutView) -> tuple[str, ...]:
        """What may be done with a rollout."""
        return _MAY.get(rollout.state, ())


@router.get(URL)
async def get_orders(session: Viewing, pages: Page, hub: Hub) -> HTMLResponse:
    """Rollouts, and how each site stands to its desired settings."""
    pieces = _pieces(await _read(hub, pages.reading, session))
    said = frame(session, live=f"/live{URL}", shown=pieces.state, current=URL)
    return page("orders.html", pieces=pieces.html, **said)


@router.get(f"/live{URL}")
async def get_live_orders(request: Request, session: Viewing, pages: Page, hub: Hub) -> StreamingResponse:
    """What changes of it."""

    async def look() -> Pieces:
        return _pieces(await _read(hub, pages.reading, session))

    return told(pages, hub, session, look, shown_before(request))


@router.post("/rollouts/{number}/pause")
async def post_pause(request: Request, number: Number, hub: Hub, session: Operating) -> Response:
    """Order no further site anything."""
    return await _do(request, hub, session, lambda desk: desk.pause(number, session.name))


@router.post("/rollouts/{number}/resume")
async def post_resume(request: Request, number: Number, hub: Hub, session: Operating) -> Response:
    """Go on."""
    return await _do(request, hub, session, lambda desk: desk.resume(number, session.name))


@router.post("/rollouts/{number}/abort")
async def post_abort(request: Request, number: Number, hub: Hub, session: Operating) -> Response:
    """End it."""
    return await _do(request, hub, session, lambda desk: desk.abort(number, session.name))


async def _do(request: Request, hub: Hub, session: Session, deed: Callable[[RolloutDesk], RolloutView]) -> Response:
    await read_deed(request, hub, session)
    await hub.run(lambda: deed(hub.orders.rollouts))
    return seen_other(URL)


async def _read(hub: Hub, reading: Reading, session: Session) -> OrdersPage:
    desks, run = hub.orders, hub.run_long
    report = await reading.shared.get("steering", lambda: run(desks.steered.report))
    rollouts = await reading.shared.get("rollouts", lambda: run(lambda: desks.rollouts.listed(_ROLLOUTS)))
    deeds = await reading.shared.get("deeds", lambda: run(lambda: desks.steered.deeds(_DEEDS)))
    return OrdersPage(report, rollouts, deeds, session if session.role.covers(Role.OPERATOR) else None)


def _pieces(shown: OrdersPage) -> Pieces:
    return Pieces({f"orders-{part}": html(f"_orders_{part}.html", page=shown) for part in _PARTS})
