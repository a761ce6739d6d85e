"""The drop folder, on real files: every line once, whatever happens in between."""

from __future__ import annotations

import gzip
import json
import logging
import random
from pathlib import Path
from typing import Any

import pytest

from farshore_agent.collect.folder import FolderInput, FolderSettings, stem_of
from tests.agent.collect.fake_buffer import Crash, FakeBuffer
from tests.agent.collect.site import context_of

REST_POLLS = 2


class Site:
    """A folder and a buffer, both of which outlive the input that works on them."""

    def __init__(self, folder: Path, **settings: object) -> None:
        self.folder = folder
        self.buffer = FakeBuffer()
        self.settings: dict[str, Any] = {"stream": "readings", "rest_polls": REST_POLLS, **settings}
        self.start()

    def start(self) -> None:
        settings = FolderSettings(type="folder", path=self.folder, **self.settings)
        self.input = FolderInput("drop", settings, context_of(self.buffer))

    def write(self, name: str, content: str | bytes, *, mode: str = "wb") -> Path:
        path = self.folder / name
        with path.open(mode) as file:
            file.write(content if isinstance(content, bytes) else content.encode())
        return path

    async def polls(self, count: int = REST_POLLS + 2) -> None:
        for _ in range(count):
            await self.input.poll()

    def files(self) -> set[str]:
        return {str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file()}

    def values(self, stream: str = "readings") -> list[object]:
        return [record["v"] for record in self.buffer.records[stream]]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def ndjson(*values: int) -> str:
    return "".join(json.dumps({"ts": "2026-11-23", "v": value}) + "\n" for value in values)


async def test_files_of_every_format_are_stored(site: Site) -> None:
    site.write("a.ndjson", ndjson(1, 2))
    site.write("b.csv", "ts,v\n2026-11-23,3\n2026-11-23,4\n")
    site.write("c.csv.gz", gzip.compress(b"ts,v\n2026-11-23,5\n"))
    await site.polls()
    assert sorted(map(str, site.values())) == ["1", "2", "3", "4", "5"]


async def test_what_is_complete_is_taken_at_once_and_the_rest_when_the_file_is_at_rest(site: Site) -> None:
    site.write("a.ndjson", ndjson(1, 2) + '{"ts": "2026-11-23", ')
    await site.polls(1)
    assert site.values() == [1, 2]
    site.write("a.ndjson", '"v": 3}\n{"ts": "2026-11-23", "v": 4}', mode="ab")
    await site.polls(1)
    assert site.values() == [1, 2, 3]
    await site.polls()
    assert site.values() == [1, 2, 3, 4]
    assert site.buffer.refused["readings"] == []


async def test_a_file_that_grows_after_its_rest_is_read_on(site: Site) -> None:
    site.write("a.csv", "ts,v\n2026-11-23,1\n")
    await site.polls()
    site.write("a.csv", "2026-11-23,2\n", mode="ab")
    await site.polls()
    site.start()
    site.write("a.csv", "2026-11-23,3\n", mode="ab")
    await site.polls()
    assert site.values() == [1, 2, 3]


async def test_a_restart_reads_nothing_twice(site: Site) -> None:
    site.write("a.csv", "ts,v\n2026-11-23,1\n2026-11-23,2\n")
    await site.polls()
    for _ in range(3):
        site.start()
        await site.polls()
    assert site.values() == [1, 2]


async def test_a_file_that_was_copied_back_over_itself_is_not_read_twice(site: Site) -> None:
    path = site.write("a.ndjson", ndjson(*range(100)))
    await site.polls()
    site.write("a.copy", path.read_bytes() + ndjson(100).encode())
    (site.folder / "a.copy").replace(path)  # as rsync does: another inode, the same beginning
    site.start()
    await site.polls()
    assert site.values() == list(range(101))


async def test_another_file_under_an_old_name_is_read_from_its_start(site: Site) -> None:
    for values in ((1, 2, 3), (4, 5), (6, 7, 8, 9)):
        site.write("a.ndjson", ndjson(*values))
        await site.polls()
        site.start()
    assert site.values() == list(range(1, 10))


@pytest.mark.parametrize("after", ["keep", "move", "delete"])
async def test_a_stored_file_is_kept_moved_or_deleted(tmp_path: Path, after: str) -> None:
    site = Site(tmp_path, after=after)
    for value in (1, 2):
        site.write("a.ndjson", ndjson(value))
        await site.polls()
    assert site.values() == [1, 2]
    assert site.files() == {"keep": {"a.ndjson"}, "move": {"done/a.ndjson", "done/a.ndjson.1"}, "delete": set()}[after]


async def test_the_same_content_dropped_again_after_a_deletion_is_another_file(tmp_path: Path) -> None:
    site = Site(tmp_path, after="delete")
    for _ in range(2):
        site.write("a.ndjson", ndjson(1))
        await site.polls()
        site.start()
    assert site.values() == [1, 1]


async def test_a_file_is_deleted_only_when_all_of_it_is_stored(tmp_path: Path) -> None:
    site = Site(tmp_path, after="delete")
    path = site.write("a.ndjson", ndjson(1) + '{"ts": "2026-11-23", "v": 2}')
    await site.polls(REST_POLLS)
    assert path.exists()
    await site.polls()
    assert not path.exists()
    assert site.values() == [1, 2]


async def test_bad_rows_are_in_quarantine_with_their_line(site: Site) -> None:
    site.write("a.csv", "ts,v\n2026-11-23,1\n2026-11-23\n0001-01-01,2\n2026-11-23,3\n")
    await site.polls()
    assert site.values() == [1, 3]
    assert [(one.line, one.field) for one in site.buffer.refused["readings"]] == [(3, None), (4, "ts")]


async def test_lines_are_counted_through_pieces_and_restarts(site: Site) -> None:
    site.write("a.ndjson", ndjson(*range(5000)) + "bad\n")
    await site.polls()
    site.start()
    site.write("a.ndjson", ndjson(5000) + "worse\n", mode="ab")
    await site.polls()
    assert [one.line for one in site.buffer.refused["readings"]] == [5001, 5003]


async def test_a_file_that_cannot_be_used_stays_and_does_not_stop_the_others(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    site.write("a.csv", "time,v\n1,2\n")
    site.write("b.xls", "x")
    site.write("c.csv.gz", gzip.compress(b"ts,v\n2026-11-23,5\n")[:-6])
    site.write("d.ndjson", ndjson(1))
    with caplog.at_level(logging.ERROR):
        await site.polls(10)
    assert site.values() == [1]
    assert caplog.text.count("is left as it is") == 3
    for why in ("no column 'ts'", "tells no format", "not a whole gzip file"):
        assert caplog.text.count(why) == 1


async def test_a_file_that_was_repaired_is_taken(site: Site) -> None:
    site.write("a.csv", "time,v\n1,2\n")
    await site.polls()
    site.write("a.csv", "ts,v\n2026-11-23,2\n")
    await site.polls()
    assert site.values() == [2]


async def test_unfinished_hidden_and_other_names_are_left_alone(tmp_path: Path) -> None:
    site = Site(tmp_path, pattern="*.ndjson*")
    for name in ("a.ndjson.tmp", "a.ndjson.part", ".a.ndjson", "a.csv"):
        site.write(name, ndjson(1))
    (tmp_path / "folder.ndjson").mkdir()
    (tmp_path / "nowhere.ndjson").symlink_to(tmp_path / "missing")
    await site.polls()
    assert site.values() == []
    (tmp_path / "a.ndjson.tmp").rename(tmp_path / "a.ndjson")
    await site.polls()
    assert site.values() == [1]


async def test_the_stream_can_come_from_the_name(tmp_path: Path) -> None:
    site = Site(tmp_path, stream="pump-{stem}")
    site.write("North 1.2026.ndjson", ndjson(1))
    await site.polls()
    assert site.values("pump-north_1") == [1]


@pytest.mark.parametrize(("name", "stem"), [("PRSA_Data.csv", "prsa_data"), ("äöü.csv", ""), ("a" * 99, "a" * 63)])
def test_the_stem_has_the_letters_of_a_stream(name: str, stem: str) -> None:
    assert stem_of(name) == stem


async def test_a_missing_folder_is_waited_for(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    site = Site(tmp_path / "later")
    await site.polls()
    assert caplog.text.count("waiting for the folder") == 1
    site.folder.mkdir()
    site.write("a.ndjson", ndjson(1))
    await site.polls()
    assert site.values() == [1]


@pytest.mark.parametrize("seed", range(25))
async def test_crashes_neither_lose_nor_double_a_line(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files grow and appear while the process dies before or after commits, or finds the buffer full."""
    monkeypatch.setattr("farshore_agent.collect.input.FULL_PAUSE_S", 0)
    monkeypatch.setattr("farshore_agent.collect.feed.PIECE_BYTES", 64)
    chance = random.Random(seed)
    site = Site(tmp_path, after=chance.choice(["keep", "move", "delete"]))
    site.buffer.chaos = chance
    monkeypatch.setattr("tests.agent.clocks.SteppedClock.sleep", _no_wait)
    written = []
    for step in range(30):
        name, style = f"{chance.randrange(4)}", chance.choice(["csv", "ndjson"])
        path = tmp_path / f"{name}.{style}"
        content = (
            ndjson(step) if style == "ndjson" else f"{'' if path.exists() else 'ts,v' + chr(10)}2026-11-23,{step}\n"
        )
        written.append(step)
        cut = chance.randrange(len(content) + 1)
        site.write(path.name, content[:cut], mode="ab")
        await _poll_with_crashes(site, 1)
        site.write(path.name, content[cut:], mode="ab")
        await _poll_with_crashes(site, chance.randrange(4))
    site.buffer.chaos = None
    site.start()
    await site.polls(6)
    assert site.buffer.refused["readings"] == []
    assert sorted(site.values(), key=str) == sorted(written, key=str)


async def _no_wait(_clock: object, _seconds: float) -> None:
    return


async def _poll_with_crashes(site: Site, count: int) -> None:
    for _ in range(count):
        try:
            await site.input.poll()
        except Crash:
            site.start()
