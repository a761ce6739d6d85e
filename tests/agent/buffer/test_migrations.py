"""A file of an older version of the agent opens, sound or damaged, with all that is in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw
import pytest

from farshore_agent.buffer import migrations
from tests.agent.buffer.damaged import RECEIPTED_BEFORE, assert_accounted_for, make, overwrite, root_of, started


@contextmanager
def as_of(version: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Files that are made in the block are of an older version."""
    with monkeypatch.context() as older:
        older.setattr(migrations, "STEPS", migrations.STEPS[:version])
        migrations._expected.cache_clear()
        yield
    migrations._expected.cache_clear()


def version_of(path: Path) -> object:
    connection = apsw.Connection(str(path))
    found = connection.pragma("user_version")
    connection.close()
    return found


@pytest.mark.parametrize("damaged", ["", "lives", "streams", "batches"])
async def test_a_file_of_the_version_before_opens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damaged: str
) -> None:
    with as_of(2, monkeypatch):
        made = await make(tmp_path)
    path = made.world.path
    assert version_of(path) == 2
    if damaged:
        root = root_of(path, damaged)
        overwrite(path, root)
        overwrite(path, 1)
    buffer = await started(made.world)
    assert bool((await buffer.status()).repairs) == bool(damaged)
    assert await assert_accounted_for(made, buffer) == RECEIPTED_BEFORE
    await buffer.close()
    assert version_of(path) == len(migrations.STEPS)
