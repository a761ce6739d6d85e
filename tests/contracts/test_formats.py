"""What earlier versions have written opens, is upgraded, goes on and balances: tests/data/formats."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

from farshore_agent import Agent
from farshore_agent.buffer import migrations
from farshore_agent.settings import load
from farshore_hub.app import opened_receiver
from farshore_hub.errors import NotReady
from farshore_hub.lake.files.opening import lake_of, lock_file_of
from farshore_hub.lake.lease import lease_for
from farshore_hub.lake.settings import LakeSettings
from farshore_hub.lake.tables import LakeTables
from farshore_hub.lake.writer import LakeWriter
from farshore_hub.opening import open_hub, opened_engine, reporter_of
from farshore_hub.receive.opener import BatchOpener
from farshore_hub.settings import load as load_hub
from farshore_hub.store import migrate, version
from farshore_shell.system import ThreadRunner

FORMATS = sorted((Path(__file__).parents[1] / "data" / "formats").glob("*.tar.xz"))
DELIVERED, WAITING, ALL = 40, 20, 65
MIB = 1024 * 1024
WHEN = "2026-11-23T08:30:00Z"


@pytest.fixture(params=FORMATS, ids=[path.name.partition(".")[0] for path in FORMATS])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A hub's folder and a site's, as that version has left them."""
    with tarfile.open(request.param) as packed:
        packed.extractall(tmp_path, filter="data")
    return tmp_path


def upgrade(data_dir: Path, revision: str) -> None:
    if revision != version.newest():
        with pytest.raises(NotReady, match=f"at version {revision}"), open_hub(data_dir):
            pass
    with opened_engine(load_hub(data_dir)) as engine:
        assert version.current(engine) == revision
        migrate.upgrade(engine)


async def deliver(agent: Agent, data_dir: Path) -> None:
    """All that waits, as a file: no certificate of then has to be in force today. Then all of it into the lake."""
    with open_hub(data_dir) as hub:
        opener = BatchOpener(hub.engine, hub.keys)
        with opened_receiver(hub, opener) as receiver:
            for batches in await agent.plan_export(MIB):
                await agent.import_answer(await receiver.receive(await agent.export(batches), None))
        lake, runner = LakeTables(lake_of(hub.place), hub.keys.hub), ThreadRunner("lake")
        lease = lease_for(hub.engine, lock_file_of(hub.place))
        writer = LakeWriter(hub.engine, opener, lake, lease, hub.fleet.clock, runner, LakeSettings())
        await writer.drain()
        await writer.close()
        runner.close()


async def test_it_opens_is_upgraded_goes_on_and_balances(place: Path, request: pytest.FixtureRequest) -> None:
    upgrade(place / "hub", request.node.callspec.id)
    async with Agent.started(load(place / "site" / "farshore-agent.toml"), forward=False) as agent:
        assert pending(await agent.status()) == WAITING
        await agent.append("boiler", [{"ts": WHEN, "n": n, "state": "on"} for n in range(DELIVERED + WAITING, ALL)])
        await deliver(agent, place / "hub")
        assert pending(await agent.status()) == 0
        assert await agent.repair() == []
    with open_hub(place / "hub") as hub:
        (line,) = reporter_of(hub).completeness(stream="boiler").streams
    assert (line.produced, line.stored) == (ALL, ALL)
    assert (line.pending, line.shed, line.quarantined, line.gap) == (0, 0, 0, 0)
    table = DeltaTable(place / "hub" / "lake" / "boiler").to_pyarrow_table(columns=["n"])
    assert sorted(table["n"].to_pylist()) == list(range(ALL))


def pending(status: dict[str, Any]) -> int:
    (stream,) = status["buffer"]["streams"]
    assert (stream["name"], stream["receipted"]) == ("boiler", {})
    return int(stream["pending"])


def test_every_format_so_far_is_there() -> None:
    there = [path.name.partition(".")[0] for path in FORMATS]
    assert there == [f"{number:04}" for number in range(1, len(there) + 1)]
    assert int(version.newest()) - len(there) <= 1, "add what the version before the newest has written: see README.md"


def test_every_format_of_the_agent_s_buffer_but_perhaps_the_newest_is_among_them() -> None:
    found = {_buffer_version(path) for path in FORMATS}
    assert found >= set(range(1, len(migrations.STEPS)))


def _buffer_version(path: Path) -> int:
    """It stands at byte 60 of an SQLite file, big-endian (https://sqlite.org/fileformat2.html, "user version")."""
    with tarfile.open(path) as packed:
        file = packed.extractfile("site/state/buffer.db")
        assert file is not None
        return int.from_bytes(file.read(64)[60:])
