"""The SQLite under the hub: its version, and that SQLAlchemy on apsw does what it does on Python's own driver."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest
from sqlalchemy import (
    Column,
    Engine,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    create_engine,
    delete,
    event,
    insert,
    literal,
    select,
    text,
    update,
)
from sqlalchemy.exc import DatabaseError, DBAPIError

from farshore_hub.app import opened_receiver
from farshore_hub.doctor.database import look_at_library
from farshore_hub.errors import NotReady
from farshore_hub.opening import OpenedHub
from farshore_hub.receive.opener import BatchOpener
from farshore_hub.store import engine as under_test
from farshore_hub.store import sqlite
from farshore_hub.store.engine import fold_log, open_engine, reading, writing
from farshore_hub.store.sqlite import DRIVER, has_reset_bug, library_version

WITH_BUG = [(3, 7, 0), (3, 40, 1), (3, 44, 5), (3, 50, 6), (3, 51, 0), (3, 51, 2)]
OF_THE_DRIVER = {
    f"{name}Error"
    for name in (
        "Bindings",
        "ConnectionClosed",
        "CursorClosed",
        "ExecutionComplete",
        "IncompleteExecution",
        "ThreadingViolation",
    )
}
"""These have no result code."""
WITHOUT = [(3, 6, 23), (3, 44, 6), (3, 50, 7), (3, 51, 3), (3, 52, 0), (3, 54, 1), (4, 0, 0)]


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_engine(f"sqlite:///{tmp_path}/hub.db")
    yield engine
    engine.dispose()


@pytest.mark.parametrize(("version", "has_it"), [(v, True) for v in WITH_BUG] + [(v, False) for v in WITHOUT])
def test_the_versions_with_the_reset_bug_are_known(version: tuple[int, ...], has_it: bool) -> None:
    assert has_reset_bug(version) is has_it


def test_the_hub_uses_a_sqlite_without_the_reset_bug(engine: Engine) -> None:
    with reading(engine) as connection:
        used = connection.scalar(text("SELECT sqlite_version()"))
    assert used == ".".join(map(str, library_version()))
    assert not has_reset_bug(library_version())
    assert not list(look_at_library(engine))


def test_with_the_reset_bug_the_hub_takes_nothing_and_its_doctor_says_why(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(under_test, "library_version", lambda: (3, 40, 1))
    [finding] = look_at_library(engine)
    assert (finding.code, "3.40.1" in finding.what) == ("database-library", True)
    hub = OpenedHub(None, None, engine, None)  # type: ignore[arg-type]
    with pytest.raises(NotReady, match=r"SQLite 3\.40\.1"), opened_receiver(hub, BatchOpener(engine, None)):  # type: ignore[arg-type]
        raise AssertionError


things = Table(
    "things",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("name", String, unique=True, nullable=False),
    Column("size", Float),
    Column("raw", LargeBinary),
)


def _said(engine: Engine) -> Iterator[Any]:
    """What SQLAlchemy says of the same work on any driver."""
    with engine.begin() as connection:
        things.create(connection)
        yield connection.execute(insert(things).values(name="a", size=1.5, raw=b"\0\xff")).inserted_primary_key
        yield connection.execute(insert(things).values(name="b").returning(things.c.id)).scalar_one()
        connection.execute(insert(things), [{"name": f"n{n}", "raw": bytes(n)} for n in range(50)])
        yield connection.execute(update(things).where(things.c.id < 10).values(size=-0.0)).rowcount
        yield connection.execute(delete(things).where(things.c.id > 40)).rowcount
        yield connection.execute(delete(things).where(things.c.id > 1000)).rowcount
    with engine.connect() as connection:
        everything = select(things).order_by(things.c.id)
        yield [tuple(row) for row in connection.execute(everything)]
        yield connection.execute(everything).first()
        yield [len(part) for part in connection.execution_options(yield_per=7).execute(everything).partitions()]
        yield connection.execute(everything.where(things.c.id > 1000)).mappings().all()
        yield list(connection.execute(everything.where(things.c.id > 1000)).keys())
        yield connection.execute(select(literal(2**63 - 1), literal("ü\0x"), literal(None))).one()
        connection.execute(insert(things).values(name="not committed"))
        connection.rollback()
        yield connection.execute(select(things.c.id).where(things.c.name == "not committed")).all()
    yield _failure(engine, "INSERT INTO things (name) VALUES ('a')")
    yield _failure(engine, "SELECT nothing FROM nowhere")
    yield _failure(engine, "INSERT INTO things (id, name) VALUES ('no number', 'x')")
    yield _failure(engine, "SELECT CAST(x'ff' AS TEXT)", exact=False)
    yield _failure(engine, "PRAGMA query_only = 1; ")
    yield _failure(engine, "DELETE FROM things")


def _failure(engine: Engine, statement: str, *, exact: bool = True) -> object:
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql(statement).all()
    except DBAPIError as error:
        return type(error) if exact else isinstance(error, DatabaseError)
    except Exception as error:  # noqa: BLE001 - the same on both
        return type(error)
    return None


def _plain(url: str) -> Engine:
    """With transactions that begin when SQLAlchemy says so."""

    def prepare(connection: sqlite.Connection | sqlite3.Connection, _record: object) -> None:
        if isinstance(connection, sqlite3.Connection):
            connection.isolation_level = None

    engine = create_engine(url)
    event.listen(engine, "connect", prepare)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    return engine


def test_sqlalchemy_says_the_same_on_apsw_as_on_pythons_own_driver(tmp_path: Path) -> None:
    ours, theirs = _plain(f"{DRIVER}:///{tmp_path}/ours.db"), _plain(f"sqlite:///{tmp_path}/theirs.db")
    assert (ours.dialect.loaded_dbapi.__name__, theirs.dialect.loaded_dbapi.__name__) == (
        "apsw",
        sqlite3.dbapi2.__name__,
    )
    for number, (one, other) in enumerate(zip(_said(ours), _said(theirs), strict=True)):
        assert repr(one) == repr(other), number
    ours.dispose()
    theirs.dispose()


def test_every_result_code_of_sqlite_has_a_standard_name() -> None:
    classes = {type(apsw.exception_for(code)).__name__ for code in range(1, 27)}
    assert classes == set(sqlite._NAMES) - OF_THE_DRIVER


def _log_of(folder: Path) -> int:
    return (folder / "hub.db-wal").stat().st_size


def _killed(engine: Engine, folder: Path) -> Engine:
    """What a process that was killed leaves behind, opened by the next."""
    with writing(engine) as connection:
        connection.execute(text("CREATE TABLE IF NOT EXISTS t (a)"))
        connection.execute(text("INSERT INTO t VALUES (1)"))
    folder.mkdir()
    for file in ("hub.db", "hub.db-wal"):
        shutil.copy(Path(engine.url.database or "").with_name(file), folder)
    return open_engine(f"sqlite:///{folder}/hub.db")


def test_a_start_empties_the_log_that_a_killed_process_left(engine: Engine, tmp_path: Path) -> None:
    again = _killed(engine, tmp_path / "again")
    left = _log_of(tmp_path / "again")
    fold_log(again)
    with reading(again) as connection:
        assert connection.scalar(text("SELECT count(*) FROM t")) == 1
    assert 0 < _log_of(tmp_path / "again") < left
    # What is left of it is needed for nothing.
    shutil.copy(tmp_path / "again/hub.db", tmp_path / "alone.db")
    again.dispose()
    with contextlib.closing(apsw.Connection(str(tmp_path / "alone.db"))) as connection:
        assert connection.execute("SELECT count(*) FROM t").fetchone() == (1,)


def test_a_start_beside_a_reader_of_something_older_says_so(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient = tuple(each.replace("30000", "0") for each in under_test._SQLITE_PRAGMAS)
    monkeypatch.setattr(under_test, "_SQLITE_PRAGMAS", impatient)
    again = _killed(engine, tmp_path / "again")
    with reading(again) as connection:
        connection.scalar(text("SELECT count(*) FROM t"))
        with pytest.raises(NotReady, match="another process"):
            fold_log(again)
    fold_log(again)
    again.dispose()
