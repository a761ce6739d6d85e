"""The settings file as a whole, and what has to hold between its tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from farshore_agent.errors import Problem
from farshore_agent.settings.inputs import InputSettings
from farshore_agent.settings.kinds import Flag, Inner, LocalPath, NamedValues, Text, Whole
from farshore_agent.settings.orders import MAX_ACCEPTED, NEVER, OrdersSettings
from farshore_agent.settings.read import closest
from farshore_agent.settings.rooms import BufferSettings, ForwardSettings, SealSettings
from farshore_agent.settings.streams import StreamPolicies, StreamSettings
from farshore_agent.settings.table import Table, setting, settings_of
from farshore_agent.settings.tables import TableSettings
from farshore_protocol import limits
from farshore_protocol.names import HOURLY, QUARANTINE, check_stream

_STREAM_NAME: Final = Text(check=check_stream, pattern=f"^[a-z0-9][a-z0-9_-]{{0,{limits.MAX_NAME_CHARS - 1}}}$")
_LABELS: Final = NamedValues(Text(high=limits.MAX_TEXT_CHARS))
_CLAIMS_A_STREAM: Final = len(("itself", QUARANTINE, HOURLY))
_CLAIMS_A_TABLE: Final = len(("its changes", QUARANTINE))
_MOST_STREAMS: Final = limits.MAX_PARCEL_CLAIMS // _CLAIMS_A_STREAM


@dataclass(frozen=True, kw_only=True)
class AgentSettings(Table):
    """Everything that an agent is told.

    Attributes:
        state_dir: holds buffer.db, identity/, agent.lock, agent.sock and status.json.
        site_labels: free text about the site, for people.
        accept_undeclared: whether a producer may append to a stream that has no `[streams.NAME]` table.
        max_streams: how many undeclared streams one run of the agent accepts.
        inputs: by the name of their table.
        tables: of the site's applications, whose changes are captured; by their name here.
    """

    state_dir: Path = setting(LocalPath(), default=Path("/var/lib/farshore-agent"))
    site_labels: dict[str, str] = setting(_LABELS, default={})
    accept_undeclared: bool = setting(Flag(), default=True)
    max_streams: int = setting(Whole(1, _MOST_STREAMS), default=1000)
    stream_defaults: StreamSettings = setting(Inner(StreamSettings), default=StreamSettings())
    streams: dict[str, StreamSettings] = setting(NamedValues(Inner(StreamSettings), _STREAM_NAME), default={})
    buffer: BufferSettings = setting(Inner(BufferSettings), default=BufferSettings())
    seal: SealSettings = setting(Inner(SealSettings), default=SealSettings())
    forward: ForwardSettings = setting(Inner(ForwardSettings), default=ForwardSettings())
    inputs: dict[str, InputSettings] = setting(NamedValues(Inner(InputSettings)), default={})
    tables: dict[str, TableSettings] = setting(NamedValues(Inner(TableSettings), _STREAM_NAME), default={})

    orders: OrdersSettings = setting(Inner(OrdersSettings), default=OrdersSettings())

    def policies(self) -> StreamPolicies:
        """The policy of every stream."""
        allowed = self.max_streams if self.accept_undeclared else 0
        tables = {name: each.priority for name, each in self.tables.items()}
        return StreamPolicies(self.stream_defaults, self.streams, max_undeclared=allowed, tables=tables)


def conflicts(settings: AgentSettings) -> Iterator[Problem]:
    """What is wrong between settings that are right by themselves."""
    yield from _between_numbers(settings)
    yield from _between_inputs(settings)
    yield from _between_tables(settings)
    yield from _of_orders(settings)


def _between_numbers(settings: AgentSettings) -> Iterator[Problem]:
    buffer, seal, forward = settings.buffer, settings.seal, settings.forward
    if seal.max_bytes * 4 > buffer.max_bytes:
        yield Problem("seal.max_bytes", "is more than a quarter of buffer.max_bytes", "make the buffer larger")
    if buffer.max_commit_bytes * 2 > buffer.max_bytes:
        yield Problem("buffer.max_commit_bytes", "is more than half of buffer.max_bytes", "make the buffer larger")
    if seal.max_bytes > forward.max_parcel_bytes:
        yield Problem("seal.max_bytes", "is more than forward.max_parcel_bytes", "a parcel must carry a whole batch")
    if seal.linger_s > seal.linger_offline_s:
        yield Problem("seal.linger", "is longer than seal.linger_offline", "offline batches wait at least as long")
    if forward.backoff_min_s > forward.backoff_max_s:
        yield Problem("forward.backoff_min", "is longer than forward.backoff_max", "exchange the two")
    streams = (len(settings.streams) + settings.max_streams) * _CLAIMS_A_STREAM
    if streams + len(settings.tables) * _CLAIMS_A_TABLE > limits.MAX_PARCEL_CLAIMS:
        yield Problem("max_streams", "with the declared streams this is more than a manifest can name", "lower it")


def _between_inputs(settings: AgentSettings) -> Iterator[Problem]:
    owners: dict[str, str] = {}
    for name, one in settings.inputs.items():
        for claim in one.claims():
            owner = owners.setdefault(claim, name)
            if owner != name:
                yield Problem(f"inputs.{name}", f"uses {claim}, which inputs.{owner} uses too", "give each its own")
        for stream in one.streams():
            if stream not in settings.streams and not settings.accept_undeclared:
                remedy = f"add [streams.{stream}], or set accept_undeclared = true"
                yield Problem(f"inputs.{name}.stream", f"{stream!r} is not declared", remedy)


def _between_tables(settings: AgentSettings) -> Iterator[Problem]:
    owners: dict[tuple[Path, str], str] = {}
    for name, each in settings.tables.items():
        owner = owners.setdefault((each.database, (each.table or name).lower()), name)
        if owner != name:
            yield Problem(f"tables.{name}", f"is the same table as tables.{owner}", "capture it once")
        if name in settings.streams:
            yield Problem(f"tables.{name}", f"[streams.{name}] has this name too", "give the table another name")


def _of_orders(settings: AgentSettings) -> Iterator[Problem]:
    accept = settings.orders.accept
    if len(accept) > MAX_ACCEPTED:
        yield Problem("orders.accept", f"names more than {MAX_ACCEPTED} keys", "name whole tables")
    known = {each.key for each in settings_of(AgentSettings)}
    for key in accept:
        table = key.partition(".")[0]
        if table in NEVER:
            yield Problem("orders.accept", f"{key!r} cannot be changed by a hub", "take it out")
        elif table not in known:
            yield Problem("orders.accept", f"{key!r} is not a key of the settings", closest(table, known))
