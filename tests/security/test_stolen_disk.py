"""A thief has the agent's disk. What can be read on it is listed here: the tail that is not sealed yet, and no more."""

from __future__ import annotations

import os
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest

from farshore_agent.buffer.buffer import FOLD_EVERY_S
from farshore_agent.buffer.connection import Database
from tests.agent.buffer.world import SEAL, World, admitted
from tests.security.stolen import files_with

SEALED, UNSEALED, REFUSED = b"canary-of-the-sealed", b"canary-of-the-tail", b"{bad}"
FEW, MANY = 3, 400
"""Records that fit one page of the database, and that need many."""


def records(canary: bytes, count: int) -> list[dict[str, Any]]:
    return [{"n": n, "where": f"{canary.decode()} {n * 7919 % 1000}", "more": f"{n * 104_729:x}"} for n in range(count)]


async def worked(folder: Path, count: int) -> World:
    """An agent that has sealed some records, has some more, and is killed in this moment."""
    world = World(folder / "buffer.db")
    buffer = await world.open()
    for _ in range(5):
        await buffer.append("readings", admitted(records(SEALED, count)))
    world.clock.advance(FOLD_EVERY_S + SEAL.linger_s)
    assert await buffer.seal_due(link_up=True, flush=True)
    await buffer.append("readings", admitted(records(UNSEALED, FEW), refused=1))
    # A copy, because closing the file tidies it up.
    _steal(folder)
    await buffer.close()
    return world


def _steal(folder: Path) -> None:
    (folder / "stolen").mkdir()
    for path in folder.glob("buffer.db*"):
        (folder / "stolen" / path.name).write_bytes(path.read_bytes())


def _modes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir() if path.suffix != ".ballast"}


@pytest.mark.parametrize("count", [FEW, MANY])
async def test_a_thief_of_the_disk_reads_the_unsealed_tail_and_nothing_that_was_sealed(
    tmp_path: Path, count: int
) -> None:
    world = await worked(tmp_path, count)
    stolen = tmp_path / "stolen"
    assert files_with(stolen, SEALED) == set()
    assert files_with(stolen, UNSEALED) == {"buffer.db-wal"}
    assert files_with(stolen, REFUSED) == {"buffer.db-wal"}
    # The name of the epoch is no secret, and is found.
    assert all(files_with(stolen, epoch) for epoch in world.keys)


async def test_without_overwriting_the_thief_would_read_what_was_sealed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: the search finds what is left in free pages."""

    @contextmanager
    def not_at_all(_: Database) -> Any:  # noqa: ANN401
        with nullcontext():
            yield

    monkeypatch.setattr(Database, "overwriting", not_at_all)
    await worked(tmp_path, FEW)
    assert "buffer.db" in files_with(tmp_path / "stolen", SEALED)


async def test_without_folding_the_log_would_show_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stays readable for `FOLD_EVERY_S`: this is where."""
    monkeypatch.setattr(Database, "fold", lambda _: None)
    await worked(tmp_path, FEW)
    assert "buffer.db-wal" in files_with(tmp_path / "stolen", SEALED)


async def test_a_key_epoch_is_never_on_the_disk(tmp_path: Path) -> None:
    world = World(tmp_path / "buffer.db")
    secrets: list[bytes] = []
    draw = world.random.token

    def remembered(count: int) -> bytes:
        drawn = draw(count)
        if count == 32:
            secrets.append(drawn)
        return drawn

    world.random.token = remembered  # type: ignore[method-assign]
    buffer = await world.open()
    await buffer.append("readings", admitted(records(SEALED, MANY)))
    assert await buffer.seal_due(link_up=True, flush=True)
    assert secrets
    assert not any(files_with(tmp_path, secret) for secret in secrets)
    await buffer.close()
    assert not any(files_with(tmp_path, secret) for secret in secrets)


async def test_the_buffer_is_the_owners_only_whatever_the_mask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        buffer = await World(tmp_path / "buffer.db").open()
        await buffer.append("readings", admitted(records(UNSEALED, FEW)))
        modes = _modes(tmp_path)
        await buffer.close()
    finally:
        os.umask(before)
    assert modes == {"buffer.db": 0o600, "buffer.db-wal": 0o600, "buffer.db-shm": 0o600}
