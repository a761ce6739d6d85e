"""How each stream is treated: what its time is, how urgent it is, and what is given up when room runs out."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from farshore_agent.errors import StreamNotFound
from farshore_agent.settings.kinds import Whole, Word
from farshore_agent.settings.read import shown
from farshore_agent.settings.table import Reading, Table, Wrong, setting
from farshore_agent.settings.units import DAY_S, MINUTE_S, duration
from farshore_protocol.names import CHANGES, HOURLY, BadName, base_of, check_stream
from farshore_protocol.urgency import DEFAULT_PRIORITY, FIRST_PRIORITY, LAST_PRIORITY


class WhenFull(enum.StrEnum):
    """What happens to a stream when the buffer has no room left."""

    REFUSE = "refuse"
    """Nothing is given up; the producer has to wait."""
    EVICT = "evict"
    """Its oldest records are given up."""
    THIN = "thin"
    """Its oldest records are given up; hourly summaries stay."""


class Order(enum.StrEnum):
    """Which batches of a stream are sent first."""

    OLDEST = "oldest"
    NEWEST = "newest"


class EffortChoice(enum.StrEnum):
    """How much time a batch may take to become small; `auto` decides by how the backlog grows."""

    AUTO = "auto"
    FAST = "fast"
    BALANCED = "balanced"
    SMALL = "small"


class FieldOrFalse:
    """The name of the time field, or `false`: the arrival is the event's time."""

    def read(self, given: object, _at: tuple[str, ...], _reading: Reading) -> str | None:
        """As in `Kind`."""
        if given is False:
            return None
        if not isinstance(given, str) or not given:
            raise Wrong(f"{shown(given)} is not a field's name, nor false (which takes the time of arrival)")
        return given

    def schema(self) -> dict[str, Any]:
        """As in `Kind`."""
        return {"anyOf": [{"type": "string", "minLength": 1}, {"const": False}]}


@dataclass(frozen=True, kw_only=True)
class StreamSettings(Table):
    """`[stream_defaults]`, and the same keys in a `[streams.NAME]` table, where each overrides the default.

    Attributes:
        time_field: the field with the event's time; `false`: the time of arrival.
        priority: 9 is sent first, 0 last; when room runs out, 0 is given up first.
        when_full: what happens when the buffer is full: refuse what comes, give up the oldest, or thin it to hourly
            summaries.
        max_age_s: what was not delivered for so long is given up, with a receipt.
        order: which of the waiting batches go first.
        effort: how much work is spent on small batches.
    """

    time_field: str | None = setting(FieldOrFalse(), default="ts")
    priority: int = setting(Whole(LAST_PRIORITY, FIRST_PRIORITY), default=DEFAULT_PRIORITY)
    when_full: WhenFull = setting(Word.of_enum(WhenFull), default=WhenFull.REFUSE)
    max_age_s: float = setting(duration(MINUTE_S, 36_525 * DAY_S), key="max_age", default=365 * DAY_S)
    order: Order = setting(Word.of_enum(Order), default=Order.OLDEST)
    effort: EffortChoice = setting(Word.of_enum(EffortChoice), default=EffortChoice.AUTO)


@dataclass(frozen=True, slots=True)
class StreamPolicy:
    """The settings of one stream, as the rooms use them.

    Attributes:
        name: of the stream.
        time_field: holds the event time; None when the arrival is the event's time.
        priority: 0 (last) … 9 (first).
        max_age_us: an unacknowledged record that is older expires, with a receipt.
        newest_first: within the priority.
    """

    name: str
    time_field: str | None = "ts"
    priority: int = DEFAULT_PRIORITY
    when_full: WhenFull = WhenFull.REFUSE
    max_age_us: int = 365 * 86_400_000_000
    newest_first: bool = False
    effort: EffortChoice = EffortChoice.AUTO


_NEVER_US: Final = 2**62


class StreamPolicies:
    """The policy of every stream, companions included.

    Producers may append to declared streams, and to `max_undeclared` others, so that one that makes up names cannot
    fill the manifest. `tables` are the priorities of captured tables, by name. The buffer's thread reads them while the
    others do, and `become` may come in between: so whoever asks is answered by one set of rules, the old or the new.
    """

    def __init__(
        self,
        defaults: StreamSettings | None = None,
        streams: Mapping[str, StreamSettings] | None = None,
        *,
        max_undeclared: int = 1000,
        tables: Mapping[str, int] | None = None,
    ) -> None:
        self._rules = _Rules(defaults or StreamSettings(), dict(streams or {}), max_undeclared, tables or {})

    @property
    def declared(self) -> tuple[str, ...]:
        """The streams that the settings name."""
        return tuple(self._rules.streams)

    def of(self, stream: str) -> StreamPolicy:
        """The policy of any stream that the buffer may hold, whether it is still declared or not."""
        return self._rules.of(stream)

    def admitting(self, stream: str) -> StreamPolicy:
        """The policy of a stream that a producer may append to.

        Raises:
            StreamNotFound: the name is not allowed, or it is not declared and no more undeclared ones are accepted.
        """
        return self._rules.admitting(stream)

    def become(self, other: StreamPolicies) -> None:
        """Say what `other` says, from now on. Undeclared streams that are in use stay so, as far as they may."""
        rules = other._rules
        for stream in self._rules.undeclared:
            if len(rules.undeclared) < rules.max_undeclared and stream not in rules.streams:
                rules.undeclared[stream] = rules.of(stream)
        self._rules = rules


class _Rules:
    """The policies under one set of settings."""

    def __init__(
        self,
        defaults: StreamSettings,
        streams: dict[str, StreamSettings],
        max_undeclared: int,
        tables: Mapping[str, int],
    ) -> None:
        self.streams = streams
        self.max_undeclared = max_undeclared
        self.undeclared: dict[str, StreamPolicy] = {}
        self._defaults = defaults
        self._tables = tables
        self._made: dict[str, StreamPolicy] = {}

    def of(self, stream: str) -> StreamPolicy:
        if stream not in self._made:
            self._made[stream] = self._make(stream)
        return self._made[stream]

    def admitting(self, stream: str) -> StreamPolicy:
        if stream in self.streams:
            return self.of(stream)
        policy = self.undeclared.get(stream)
        if policy is None:
            policy = self.undeclared[stream] = self._undeclared(stream)
        return policy

    def _make(self, stream: str) -> StreamPolicy:
        base = base_of(stream)
        policy = _policy(stream, self.streams.get(base, self._defaults))
        if stream == base:
            return policy
        if stream.endswith(f".{CHANGES}"):
            # The application's database keeps what finds no room; a change that was given up would never be made good.
            priority = self._tables.get(base, policy.priority)
            return replace(policy, time_field="at", priority=priority, when_full=WhenFull.REFUSE, max_age_us=_NEVER_US)
        if stream.endswith(f".{HOURLY}"):
            priority = min(policy.priority + 1, FIRST_PRIORITY)
            return replace(policy, time_field="ts", priority=priority, when_full=WhenFull.EVICT)
        # A companion has no companion of its own: what a thinned stream's door refused is evicted, not summarised.
        when_full = WhenFull.EVICT if policy.when_full is WhenFull.THIN else policy.when_full
        return replace(policy, time_field="at", when_full=when_full)

    def _undeclared(self, stream: str) -> StreamPolicy:
        try:
            check_stream(stream)
        except BadName as error:
            raise StreamNotFound(str(error)) from None
        if len(self.undeclared) >= self.max_undeclared:
            raise StreamNotFound(
                f"the stream {stream!r} is not declared"
                + (f", and {self.max_undeclared} undeclared ones are in use" if self.max_undeclared else ""),
                remedy=f"add [streams.{stream}] to the settings",
            )
        return self.of(stream)


def _policy(name: str, settings: StreamSettings) -> StreamPolicy:
    return StreamPolicy(
        name=name,
        time_field=settings.time_field,
        priority=settings.priority,
        when_full=settings.when_full,
        max_age_us=round(settings.max_age_s * 1_000_000),
        newest_first=settings.order is Order.NEWEST,
        effort=settings.effort,
    )
