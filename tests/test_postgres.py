"""The private PostgreSQL of the tests: every test alone in its database, nothing left behind."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import sqlalchemy

from tests.postgres import Cluster

ROOT = Path(__file__).parent.parent
WAIT_S = 30


def _tables(url: str) -> list[str]:
    engine = sqlalchemy.create_engine(url)
    try:
        return sqlalchemy.inspect(engine).get_table_names()
    finally:
        engine.dispose()


def _create_table(url: str) -> None:
    engine = sqlalchemy.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("CREATE TABLE mark (id integer PRIMARY KEY)"))
    engine.dispose()


def test_a_database_is_empty_and_shares_nothing_with_its_neighbour(postgres_cluster: Cluster) -> None:
    with postgres_cluster.database() as one, postgres_cluster.database() as other:
        _create_table(one)
        assert _tables(one) == ["mark"]
        assert _tables(other) == []


def test_a_database_is_dropped_even_while_somebody_is_connected(postgres_cluster: Cluster) -> None:
    with postgres_cluster.database() as url:
        engine = sqlalchemy.create_engine(url)
        connection = engine.connect()
    with postgres_cluster.database() as again:
        names = _database_names(again)
    assert sqlalchemy.make_url(url).database not in names
    connection.invalidate()
    connection.close()
    engine.dispose()


def _database_names(url: str) -> set[str]:
    engine = sqlalchemy.create_engine(url)
    with engine.connect() as connection:
        names = set(connection.scalars(sqlalchemy.text("SELECT datname FROM pg_database")))
    engine.dispose()
    return names


def _becomes_true(condition: Callable[[], bool]) -> bool:
    give_up_at = time.monotonic() + WAIT_S
    while not condition() and time.monotonic() < give_up_at:
        time.sleep(0.02)
    return condition()


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_killed_test_process_leaves_no_cluster_behind() -> None:
    program = "from tests.postgres import private_cluster\nwith private_cluster() as c: print(c.directory); input()"
    with subprocess.Popen(
        [sys.executable, "-u", "-c", program], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        directory = Path(process.stdout.readline().strip())
        server = int((directory / "data" / "postmaster.pid").read_text().split()[0])
        process.kill()
    assert _becomes_true(lambda: not directory.exists())
    assert not _runs(server)
