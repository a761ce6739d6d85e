"""Which orders are taken: those of this hub, for this site, newer than all before, and not expired. Pure."""

from __future__ import annotations

import enum
from typing import Final

from farshore_agent.orders.party import Party
from farshore_agent.orders.state import State
from farshore_protocol.errors import Malformed, NotAuthentic, OverLimit, ProtocolError, Unsupported
from farshore_protocol.orders import Order, is_due, open_order


class Reason(enum.StrEnum):
    """Why something that came as an order is not done."""

    FOREIGN = "foreign"
    """Not this hub's, not for this site, or sealed to a key that is not here."""
    MALFORMED = "malformed"
    OVER_LIMIT = "over-limit"
    UNSUPPORTED = "unsupported"
    """A newer hub's; neither settings nor a command that this agent knows."""
    OLDER = "older"
    """One with a higher number came before it."""
    REPEATED = "repeated"
    """It came before: by another road, or because the hub has not heard of it yet. Nothing is wrong."""
    EXPIRED = "expired"
    CLOCK = "clock"
    """It expires, and the hub's time is not known yet. The hub's next answer tells the time and brings it again."""
    DISABLED = "disabled"
    """The site's owner takes no orders."""
    CROWDED = "crowded"
    """More came at once than anybody needs to send."""


class Refused(Exception):
    """An order that is not done, and why."""

    def __init__(self, reason: Reason, why: str) -> None:
        super().__init__(why)
        self.reason = reason


_REASONS: Final[tuple[tuple[type[ProtocolError], Reason], ...]] = (
    (NotAuthentic, Reason.FOREIGN),
    (OverLimit, Reason.OVER_LIMIT),
    (Unsupported, Reason.UNSUPPORTED),
    (Malformed, Reason.MALFORMED),
)


def examine(raw: bytes, party: Party, state: State, hub_now_us: int | None) -> Order:
    """The order, if it is to be done.

    Args:
        raw: as it came, from whomever.
        party: who may order whom.
        state: what came before.
        hub_now_us: the hub's time as far as the site knows it.

    Raises:
        Refused: it is not.
    """
    try:
        order = open_order(raw, hub=party.hub, site=party.site, key=party.key, signers=party.signers)
    except ProtocolError as error:
        reason = next((reason for kind, reason in _REASONS if isinstance(error, kind)), Reason.MALFORMED)
        raise Refused(reason, str(error)) from None
    _check_kind(order)
    _check_number(order, state)
    _check_time(order, hub_now_us)
    return order


def _check_kind(order: Order) -> None:
    if (order.desired is None) == (order.command is None):
        raise Refused(Reason.UNSUPPORTED, f"order {order.number} is of a kind that this agent does not know")


def _check_number(order: Order, state: State) -> None:
    what = "settings" if order.desired else "command"
    newest = state.settings_number if order.desired else state.command_number
    if order.number == newest:
        raise Refused(Reason.REPEATED, f"{what} {order.number} came before")
    if order.number < newest:
        raise Refused(Reason.OLDER, f"{what} {order.number} is older than {newest}, which came before")


def _check_time(order: Order, hub_now_us: int | None) -> None:
    if order.expires_us is None:
        return
    if hub_now_us is None:
        raise Refused(Reason.CLOCK, f"order {order.number} expires, and the hub's time is not known yet")
    if not is_due(order, hub_now_us):
        late_s = (hub_now_us - order.expires_us) / 1_000_000
        raise Refused(Reason.EXPIRED, f"order {order.number} expired {late_s:.0f} s ago by the hub's clock")
