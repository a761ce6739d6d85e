"""What a site says of its orders, and when it says something new. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

import msgspec

from farshore_agent.orders.party import Party
from farshore_agent.orders.state import Spoken, State
from farshore_protocol import __version__, wire
from farshore_protocol.batch import DIGEST_BYTES
from farshore_protocol.orders import Introduction, Report, next_number

_UNSAID: Final = 1
"""The number of a report that is only compared."""


@dataclass(frozen=True, slots=True)
class About:
    """What an agent has to say of itself.

    Attributes:
        schema: JSON Schema of its settings, compressed.
        accepts: what of them the hub may change.
    """

    schema: bytes
    accepts: tuple[str, ...]

    def introduction(self, party: Party) -> Introduction:
        """As the hub is told."""
        return Introduction(party.public_key, self.schema, list(self.accepts))


def digest(raw: bytes) -> bytes:
    """As digests are in this protocol."""
    return hashlib.sha256(raw).digest()[:DIGEST_BYTES]


def report_of(state: State, party: Party, own: About) -> Report:
    """The newest report."""
    introduction = own.introduction(party)
    return Report(
        hub=party.hub,
        site=party.site,
        number=max(state.spoken.number, _UNSAID),
        at_us=state.spoken.at_us,
        agent_version=__version__,
        schema=digest(own.schema),
        settings=state.settings,
        command=None if state.has_command else state.command,
        introduction=None if state.introduced == digest(wire.pack(introduction)) else introduction,
    )


def spoken(state: State, party: Party, own: About, now_us: int) -> State:
    """The state with a new report, if there is anything that the newest one does not say."""
    said = report_of(state, party, own)
    # What the hub has is left out of later reports, and is no news.
    whole = msgspec.structs.replace(
        said, number=_UNSAID, at_us=0, command=state.command, introduction=own.introduction(party)
    )
    content = digest(wire.pack(whole))
    if content == state.spoken.content and state.spoken.number > 0:
        return state
    number = next_number(now_us, highest=max(state.spoken.number, state.heard or 0))
    return msgspec.structs.replace(state, spoken=Spoken(number, now_us, content))


def is_heard(state: State) -> bool:
    """Whether the hub has the newest report. One that never speaks of orders is told nothing."""
    return state.heard is None or 0 < state.spoken.number <= state.heard


def heard(state: State, number: int, party: Party, own: About) -> State:
    """The state after the hub has said which report it has; 0: none, and it does not know the site.

    A number lower than before is a hub that was restored from a backup, one higher than all of ours a site that was:
    either way it is told everything again.
    """
    before = state.heard
    state = msgspec.structs.replace(state, heard=number)
    if number == state.spoken.number > 0:
        introduced = digest(wire.pack(own.introduction(party)))
        return msgspec.structs.replace(state, has_command=state.command is not None, introduced=introduced)
    # A hub that says the same again has not had the newest report yet: that is no reason for a newer one.
    if number != before and (number == 0 or number < (before or 0) or number > state.spoken.number):
        anew = Spoken(state.spoken.number, state.spoken.at_us)
        introduced = state.introduced if number else b""
        return msgspec.structs.replace(state, has_command=False, introduced=introduced, spoken=anew)
    return state
