"""The settings of the buffer, of sealing and of forwarding; defaults fit a small machine with a slow link."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from typing import Final

from farshore_agent.settings.kinds import ListOf, Text, Whole, Word
from farshore_agent.settings.table import Table, setting
from farshore_agent.settings.units import DAY_S, KIB, MIB, MINUTE_S, TIB, duration, size
from farshore_protocol import limits

_ADDRESS: Final = r"[^\s:/]+:[0-9]{1,5}|\[[0-9a-fA-F:]+\]:[0-9]{1,5}"


def _check_address(text: str) -> None:
    if not re.fullmatch(_ADDRESS, text):
        raise ValueError(f"{text!r} is not an address such as 'hub.example.org:8443'")


ADDRESS: Final = Text(check=_check_address, pattern=f"^({_ADDRESS})$")


@dataclass(frozen=True, kw_only=True)
class BufferSettings(Table):
    """`[buffer]`: the one file on disk.

    Attributes:
        max_bytes: the file never grows beyond it.
        retain_acknowledged_s: how long a batch that the hub has stays, if the hub does not say that it is archived.
        max_commit_bytes: records of one group commit.
        scrub_every_s: everything in the file is read and checked at least once in this time, slowly.
    """

    max_bytes: int = setting(size(8 * MIB, 16 * TIB), default=1024 * MIB)
    retain_acknowledged_s: float = setting(duration(0, 3_650 * DAY_S), key="retain_acknowledged", default=7 * DAY_S)
    max_commit_bytes: int = setting(size(64 * KIB, 64 * MIB), default=4 * MIB)
    scrub_every_s: float = setting(duration(MINUTE_S, 365 * DAY_S), key="scrub_every", default=7 * DAY_S)


class DictionaryUse(enum.StrEnum):
    """Whether a stream may have a compression dictionary."""

    AUTO = "auto"
    OFF = "off"


@dataclass(frozen=True, kw_only=True)
class SealSettings(Table):
    """`[seal]`: when the tail becomes a batch, whichever of these comes first.

    Attributes:
        max_records, max_bytes: of one batch; bytes are those of its chunks.
        linger_s: how long a record may wait for others while the link is up.
        linger_offline_s: the same while it is down, because fuller batches are smaller.
    """

    max_records: int = setting(Whole(1, limits.MAX_BATCH_RECORDS), default=10_000)
    max_bytes: int = setting(size(4 * KIB, limits.MAX_BATCH_BYTES // 2), default=1 * MIB)
    linger_s: float = setting(duration(0, DAY_S), key="linger", default=5)
    linger_offline_s: float = setting(duration(0, 7 * DAY_S), key="linger_offline", default=10 * MINUTE_S)
    dictionary: DictionaryUse = setting(Word.of_enum(DictionaryUse), default=DictionaryUse.AUTO)


@dataclass(frozen=True, kw_only=True)
class ForwardSettings(Table):
    """`[forward]`: how batches reach the hub.

    Attributes:
        max_parcel_bytes: of one exchange; the hub may ask for less.
        heartbeat_s: an exchange takes place at least this often, so that the hub sees the site.
        timeout_s: of one exchange.
        backoff_min_s, backoff_max_s: bounds of the pause after a failure.
        hub: addresses (`host:port`) that replace those of the enrolment.
        spread_start_s: the first exchange comes at a random moment within it, so that a fleet does not start at once.
    """

    max_parcel_bytes: int = setting(size(64 * KIB, limits.MAX_PARCEL_BYTES), default=4 * MIB)
    heartbeat_s: float = setting(duration(1, DAY_S), key="heartbeat", default=MINUTE_S)
    timeout_s: float = setting(duration(1, 60 * MINUTE_S), key="timeout", default=MINUTE_S)
    backoff_min_s: float = setting(duration(0.01, 60 * MINUTE_S), key="backoff_min", default=1)
    backoff_max_s: float = setting(duration(0.01, DAY_S), key="backoff_max", default=5 * MINUTE_S)
    hub: tuple[str, ...] = setting(ListOf(ADDRESS), default=())
    spread_start_s: float = setting(duration(0, 60 * MINUTE_S), key="spread_start", default=0)
