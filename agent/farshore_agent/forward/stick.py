"""Parcels as files, for sites without a link: what waits is packed into as many parcels as it takes.

What was exported stays in the buffer, and is sent again over any other way, until an answer says that the hub has it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from farshore_agent.buffer import Buffer, OutboxBatch
from farshore_agent.forward.courier import Courier
from farshore_agent.forward.planner import fill
from farshore_protocol.limits import MAX_PARCEL_BYTES, MIB

FILE_BYTES: Final = MAX_PARCEL_BYTES - 2 * MIB
"""Of batches in one file; the statement, keys and dictionaries take the rest."""

MAX_EXPORTED_BATCHES: Final = 50_000
"""Of one export, however small they are. What is left goes with the next one."""


async def plan(buffer: Buffer, *, max_bytes: int) -> list[list[int]]:
    """Seal everything, and say which batches go into which file. The first file is there even if nothing waits."""
    await buffer.seal_due(link_up=False, flush=True)
    waiting: Sequence[OutboxBatch] = await buffer.waiting(max_bytes=max_bytes, max_batches=MAX_EXPORTED_BATCHES)
    files: list[list[int]] = []
    while waiting:
        chosen = fill(waiting, FILE_BYTES)
        files.append([batch.id for batch in chosen])
        waiting = waiting[len(chosen) :]
    return files or [[]]


async def pack(buffer: Buffer, courier: Courier, ids: Sequence[int]) -> bytes:
    """One file: a parcel with a whole statement and those of the batches that still wait."""
    wanted = set(ids)
    waiting = await buffer.waiting(max_bytes=2**62, max_batches=2 * MAX_EXPORTED_BATCHES) if wanted else []
    batches = [batch for batch in waiting if batch.id in wanted]
    return (await courier.pack(batches, whole=True, max_bytes=MAX_PARCEL_BYTES)).raw
