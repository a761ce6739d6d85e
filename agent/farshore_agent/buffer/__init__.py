"""The buffer: the one file that holds what the site has produced until the hub durably has it.

Records are appended to the *tail* of their stream as chunks, one row per stream and commit. Sealing turns tail into
batches. A batch leaves when the hub has it, or with a receipt written in the same transaction. Whatever happens,
`produced = acknowledged + held + receipted` for every stream.
"""

from __future__ import annotations

from farshore_agent.buffer.buffer import Buffer
from farshore_agent.buffer.model import (
    Admitted,
    Appended,
    BufferStatus,
    Checkpoint,
    LoadedBatch,
    Manifest,
    OutboxBatch,
    Refused,
    Settled,
    StreamStatus,
)
from farshore_agent.buffer.status import read_status

__all__ = [
    "Admitted",
    "Appended",
    "Buffer",
    "BufferStatus",
    "Checkpoint",
    "LoadedBatch",
    "Manifest",
    "OutboxBatch",
    "Refused",
    "Settled",
    "StreamStatus",
    "read_status",
]
