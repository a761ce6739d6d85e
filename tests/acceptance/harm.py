"""Hands that damage what a running hub has stored."""

from __future__ import annotations

import random
from pathlib import Path

from sqlalchemy import Engine, select, update

from farshore_hub.store.engine import reading, writing
from farshore_hub.store.schema import batches


def destroy(engine: Engine, table: Path, chance: random.Random, count: int) -> int:
    """Flip a bit of so many random sealed batches, and delete every file of the lake's table.

    Returns:
        How many bytes the batches have.
    """
    size = 0
    with reading(engine) as connection:
        ids = list(connection.scalars(select(batches.c.id).where(batches.c.raw.is_not(None))))
    for at in chance.sample(ids, count):
        with writing(engine) as connection:
            raw = bytearray(connection.scalar(select(batches.c.raw).where(batches.c.id == at)) or b"")
            raw[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)
            connection.execute(update(batches).where(batches.c.id == at).values(raw=bytes(raw)))
        size += len(raw)
    for path in table.glob("*.parquet"):
        path.unlink()
    return size
