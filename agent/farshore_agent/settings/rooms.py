"""The settings of the buffer, of sealing and of forwarding; defaults fit a small machine with a slow link."""

from __future__ import annotations

import enum
import re
from typing import Annotated, Final

from pydantic import AfterValidator, Field, WithJsonSchema

from farshore_agent.settings.table import Table
from farshore_agent.settings.units import DAY_S, KIB, MIB, MINUTE_S, TIB, duration, size
from farshore_protocol import limits

_ADDRESS: Final = r"[^\s:/]+:[0-9]{1,5}|\[[0-9a-fA-F:]+\]:[0-9]{1,5}"


def _address(text: str) -> str:
    if not re.fullmatch(_ADDRESS, text):
        raise ValueError(f"{text!r} is not an address such as 'hub.example.org:8443'")
    return text


Address = Annotated[str, AfterValidator(_address), WithJsonSchema({"type": "string", "pattern": f"^({_ADDRESS})$"})]


class BufferSettings(Table):
    """`[buffer]`: the one file on disk.

    Attributes:
        max_bytes: the file never grows beyond it.
        retain_acknowledged_s: how long a batch that the hub has stays, if the hub does not say that it is archived.
        max_commit_bytes: records of one group commit.
        scrub_every_s: everything in the file is read and checked at least once in this time, slowly.
    """

    max_bytes: Annotated[int, size(8 * MIB, 16 * TIB)] = 1024 * MIB
    retain_acknowledged_s: Annotated[
        float, duration(0, 3_650 * DAY_S), Field(validation_alias="retain_acknowledged")
    ] = 7 * DAY_S
    max_commit_bytes: Annotated[int, size(64 * KIB, 64 * MIB)] = 4 * MIB
    scrub_every_s: Annotated[float, duration(MINUTE_S, 365 * DAY_S), Field(validation_alias="scrub_every")] = 7 * DAY_S


class DictionaryUse(enum.StrEnum):
    """Whether a stream may have a compression dictionary."""

    AUTO = "auto"
    OFF = "off"


class SealSettings(Table):
    """`[seal]`: when the tail becomes a batch, whichever of these comes first.

    Attributes:
        max_records, max_bytes: of one batch; bytes are those of its chunks.
        linger_s: how long a record may wait for others while the link is up.
        linger_offline_s: the same while it is down, because fuller batches are smaller.
    """

    max_records: Annotated[int, Field(ge=1, le=limits.MAX_BATCH_RECORDS)] = 10_000
    max_bytes: Annotated[int, size(4 * KIB, limits.MAX_BATCH_BYTES // 2)] = 1 * MIB
    linger_s: Annotated[float, duration(0, DAY_S), Field(validation_alias="linger")] = 5
    linger_offline_s: Annotated[float, duration(0, 7 * DAY_S), Field(validation_alias="linger_offline")] = 10 * MINUTE_S
    dictionary: Annotated[DictionaryUse, Field(strict=False)] = DictionaryUse.AUTO


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

    max_parcel_bytes: Annotated[int, size(64 * KIB, limits.MAX_PARCEL_BYTES)] = 4 * MIB
    heartbeat_s: Annotated[float, duration(1, DAY_S), Field(validation_alias="heartbeat")] = MINUTE_S
    timeout_s: Annotated[float, duration(1, 60 * MINUTE_S), Field(validation_alias="timeout")] = MINUTE_S
    backoff_min_s: Annotated[float, duration(0.01, 60 * MINUTE_S), Field(validation_alias="backoff_min")] = 1
    backoff_max_s: Annotated[float, duration(0.01, DAY_S), Field(validation_alias="backoff_max")] = 5 * MINUTE_S
    hub: Annotated[tuple[Address, ...], Field(strict=False)] = ()
    spread_start_s: Annotated[float, duration(0, 60 * MINUTE_S), Field(validation_alias="spread_start")] = 0
