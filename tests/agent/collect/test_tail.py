"""The tail, on real files: every line once, through rotation, restarts and crashes."""

from __future__ import annotations

import gzip
import logging
import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from farshore_agent.collect.tail import TailInput, TailSettings
from tests.agent.collect.fake_buffer import Crash, FakeBuffer
from tests.agent.collect.site import context_of

REST_POLLS = 2


class Site:
    """A log and a buffer, both of which outlive the input that follows it."""

    def __init__(self, folder: Path, **settings: object) -> None:
        self.log = folder / "app.log"
        self.buffer = FakeBuffer()
        self.settings: dict[str, Any] = {"stream": "log", "rest_polls": REST_POLLS, **settings}
        self.count = 0
        self.start()

    def start(self) -> None:
        settings = TailSettings(type="tail", path=self.log, **self.settings)
        self.input = TailInput("log", settings, context_of(self.buffer))

    def write(self, lines: int = 1, *, to: Path | None = None) -> None:
        """Append that many numbered lines."""
        with (to or self.log).open("ab") as file:
            for _ in range(lines):
                file.write(b"line %d\n" % self.count)
                self.count += 1

    def rename(self) -> None:
        """Rotate by renaming: app.log.1 becomes app.log.2, app.log becomes app.log.1."""
        for number in (2, 1):
            old = self.log.with_name(f"app.log.{number}")
            if old.exists():
                old.rename(self.log.with_name(f"app.log.{number + 1}"))
        if self.log.exists():
            self.log.rename(self.log.with_name("app.log.1"))

    def copy_and_cut(self) -> None:
        """Rotate by copying: the file keeps its inode and starts again at nothing."""
        shutil.copy2(self.log, self.log.with_name("app.log.1"))
        self.log.write_bytes(b"")

    async def polls(self, count: int = REST_POLLS + 2) -> None:
        for _ in range(count):
            await self.input.poll()

    def stored(self) -> list[str]:
        return [record["message"] for record in self.buffer.records["log"]]

    def written(self) -> list[str]:
        return [f"line {number}" for number in range(self.count)]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


async def test_lines_are_stored_as_they_are_written(site: Site) -> None:
    for _ in range(5):
        site.write(3)
        await site.polls(1)
        assert site.stored() == site.written()


async def test_a_line_waits_for_its_end(site: Site) -> None:
    site.log.write_bytes(b"half a ")
    await site.polls(10)
    assert site.stored() == []
    with site.log.open("ab") as file:
        file.write(b"line\n")
    await site.polls(1)
    assert site.stored() == ["half a line"]


async def test_ndjson_and_csv_can_be_followed_too(tmp_path: Path) -> None:
    for kind, content in (("ndjson", '{"ts": "2026-11-23", "v": 1}\n'), ("csv", "ts,v\n2026-11-23,1\n")):
        site = Site(tmp_path, format=kind)
        site.log.write_text(content)
        await site.polls(1)
        site.start()
        await site.polls(1)
        assert site.buffer.records["log"] == [{"ts": "2026-11-23", "v": 1}]


async def test_a_restart_goes_on_where_it_was(site: Site) -> None:
    for _ in range(4):
        site.write(2)
        await site.polls(2)
        site.start()
        site.write(1)
    await site.polls(1)
    assert site.stored() == site.written()


async def test_a_file_that_is_renamed_is_read_to_its_end_before_the_new_one(site: Site) -> None:
    site.write(3)
    await site.polls(1)
    site.write(2)
    site.rename()
    await site.polls(1)
    site.write(1, to=site.log.with_name("app.log.1"))  # the writer has not noticed yet
    await site.polls()
    site.write(2)
    await site.polls()
    assert site.stored() == site.written()


async def test_a_file_that_is_copied_and_cut_is_read_to_its_end_from_the_copy(site: Site) -> None:
    site.write(3)
    await site.polls(1)
    site.write(2)
    site.copy_and_cut()
    site.write(1)
    await site.polls()
    site.write(100)  # longer than what was read before the cut
    await site.polls()
    assert site.stored() == site.written()


@pytest.mark.parametrize("rotations", [1, 2, 3])
async def test_rotations_while_the_agent_was_down_are_followed(site: Site, rotations: int) -> None:
    site.write(3)
    await site.polls(1)
    site.write(2)
    for _ in range(rotations):
        site.rename()
        site.write(4)
    site.start()
    await site.polls()
    assert site.stored() == site.written()


async def test_a_rotated_file_may_have_been_compressed(site: Site) -> None:
    site.write(3)
    await site.polls(1)
    site.write(2)
    site.log.with_name("app.log-20261123.gz").write_bytes(gzip.compress(site.log.read_bytes()))
    site.log.unlink()
    site.write(2)
    await site.polls()
    assert site.stored() == site.written()


async def test_a_new_file_that_begins_like_the_old_one_is_read_from_its_start(site: Site) -> None:
    site.log.write_text("started\n")
    await site.polls(1)
    site.rename()
    site.log.write_text("started\nand more\n")
    await site.polls()
    assert site.stored() == ["started", "started", "and more"]


async def test_files_beside_it_are_not_taken_for_rotated_ones(site: Site) -> None:
    site.write(2)
    await site.polls(1)
    for name in ("app.log.json", "app.log.1.tmp", "app.log~", "other.log.1", "app.logs.1"):
        site.log.with_name(name).write_text("not mine\n")
    site.rename()
    site.write(1)
    await site.polls()
    assert site.stored() == site.written()


async def test_without_a_trace_of_the_old_file_the_new_one_is_read_and_the_loss_is_told(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    site.write(3)
    await site.polls(1)
    site.log.unlink()
    site.log.write_text("new\n")
    with caplog.at_level(logging.WARNING):
        await site.polls()
    assert site.stored() == [*site.written(), "new"]
    assert caplog.text.count("the rest of the former file is gone") == 1


async def test_a_missing_file_is_waited_for(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    await site.polls()
    site.write(1)
    await site.polls()
    assert site.stored() == site.written()
    assert caplog.text.count("waiting for") == 1


async def test_a_full_buffer_is_waited_for(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.agent.clocks.SteppedClock.sleep", _no_wait)
    site.buffer.full_for = 5
    site.write(3)
    await site.polls(1)
    assert site.stored() == site.written()


@pytest.mark.parametrize("seed", range(25))
async def test_crashes_and_rotations_neither_lose_nor_double_a_line(
    site: Site, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.agent.clocks.SteppedClock.sleep", _no_wait)
    monkeypatch.setattr("farshore_agent.collect.feed.PIECE_BYTES", 64)
    chance = site.buffer.chaos = random.Random(seed)
    for _ in range(40):
        site.write(chance.randrange(10))
        if chance.random() < 0.15:
            # A second rotation follows when the first is dealt with: only so many old files are kept.
            site.buffer.chaos = None
            await site.polls(8)
            site.buffer.chaos = chance
            site.rename()
            site.write(chance.randrange(3))
        await _poll_with_crashes(site, chance.randrange(3))
    site.buffer.chaos = None
    await site.polls(10)
    assert site.stored() == site.written()


async def _no_wait(_clock: object, _seconds: float) -> None:
    return


async def _poll_with_crashes(site: Site, count: int) -> None:
    for _ in range(count):
        try:
            await site.input.poll()
        except Crash:
            site.start()
