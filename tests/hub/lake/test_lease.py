from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from farshore_hub.lake.lease import FileLease, Lease, SessionLease, lease_for
from farshore_hub.store.engine import open_engine
from tests.hub.lake.stored import Stored

HOLD = """
import sys, time
from pathlib import Path
from farshore_hub.lake.lease import FileLease
print(FileLease(Path(sys.argv[1])).take(), flush=True)
time.sleep(60)
"""


@pytest.fixture
def engines(postgres_url: str) -> Iterator[tuple[Engine, Engine]]:
    """Two processes' connections to one store."""
    both = open_engine(postgres_url), open_engine(postgres_url)
    yield both
    for each in both:
        each.dispose()


@pytest.fixture(params=["file", "session"])
def leases(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Lease, Lease]:
    """Two processes' leases of one lake."""
    if request.param == "file":
        return FileLease(tmp_path / "lock"), FileLease(tmp_path / "lock")
    first, second = request.getfixturevalue("engines")
    return SessionLease(first), SessionLease(second)


def test_one_at_a_time_holds_it(leases: tuple[Lease, Lease]) -> None:
    first, second = leases
    assert first.take()
    assert not second.take()
    assert first.take()
    first.release()
    assert second.take()
    assert not first.take()
    second.release()


def test_releasing_what_is_not_held_is_harmless(leases: tuple[Lease, Lease]) -> None:
    first, second = leases
    first.release()
    assert second.take()
    first.release()
    assert not first.take()
    second.release()


def test_a_killed_process_holds_no_lease(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path / "lock")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "True\n"
        lease = FileLease(tmp_path / "lock")
        assert not lease.take()
        process.kill()
    assert lease.take()
    lease.release()


def test_a_broken_session_holds_no_lease(engines: tuple[Engine, Engine]) -> None:
    first, second = SessionLease(engines[0]), SessionLease(engines[1])
    assert first.take()
    with engines[1].begin() as connection:
        others = "SELECT pg_terminate_backend(pid, 10000) FROM pg_locks WHERE locktype = 'advisory'"
        connection.execute(text(others))
    assert second.take()
    assert not first.take()
    second.release()


def test_the_store_decides_the_kind(stored: Stored, stored_in_postgres: Stored) -> None:
    assert isinstance(lease_for(stored.engine, stored.lock_file), FileLease)
    assert isinstance(lease_for(stored_in_postgres.engine, stored.lock_file), SessionLease)
