"""A private PostgreSQL for the tests.

The first test of a process that asks for `postgres_url` starts a throw-away cluster, reachable through a Unix socket
in a temporary directory only; every test gets an empty database of its own in it. What always holds: the cluster and
its directory are gone when the test process is gone, however that ended, because a small keeper process waits for the
end of its standard input and then cleans up. Each pytest-xdist worker is a process and has its own cluster.
"""

from __future__ import annotations

import itertools
import os
import pwd
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 30
USER = "farshore"
PORT = 5432  # names the socket file; nothing listens on the network

# Durability is off because nobody needs the data after a crash. Transactions are as isolated as ever.
SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "shared_buffers": "32MB",
    "max_connections": "100",
    "timezone": "UTC",
}
DURABLE = {**SETTINGS, "fsync": "on", "full_page_writes": "on", "synchronous_commit": "on", "shared_buffers": "128MB"}
"""As an operator runs it: for measuring."""

# TERM ends a server that has not set up its signal handling yet; QUIT stops one that has, without waiting for clients.
KEEPER = """
directory=$1; shift
"$@" >"$directory/log" 2>&1 &
read -r _
kill -TERM $! 2>/dev/null
kill -QUIT $! 2>/dev/null
wait
rm -rf "$directory"
"""


class PostgresUnavailable(RuntimeError):
    """PostgreSQL is not installed or does not start here: the machine's operator has to act. The text says how."""


@dataclass
class Cluster:
    """A running cluster, addressed by the directory of its socket."""

    directory: Path
    port: int = PORT
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    @contextmanager
    def database(self) -> Iterator[str]:
        """Create an empty database, give its SQLAlchemy URL, and drop it with whoever is still connected."""
        name = f"test_{next(self._numbers)}"
        with self._connect("postgres") as admin:
            admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            try:
                yield f"postgresql+psycopg://{USER}@/{name}?host={self.directory}&port={self.port}"
            finally:
                admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    @property
    def pid(self) -> int:
        """Of the server; its other processes descend from it."""
        return int((self.directory / "data" / "postmaster.pid").read_text().split()[0])

    def answers(self) -> bool:
        """Say whether the server accepts connections yet."""
        try:
            self._connect("postgres").close()
        except psycopg.OperationalError:
            return False
        return True

    def _connect(self, name: str) -> psycopg.Connection[Any]:
        return psycopg.connect(host=str(self.directory), port=self.port, user=USER, dbname=name, autocommit=True)


def server_programs() -> Path:
    """Find the newest installed server: Debian keeps its programs outside PATH, one directory per version."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=_version)
    on_path = shutil.which("initdb")
    if versions:
        return versions[-1].parent
    if on_path:
        return Path(on_path).resolve().parent
    raise PostgresUnavailable("PostgreSQL's server programs are missing: run `apt-get install postgresql`.")


def _version(initdb: Path) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", str(initdb)))


@contextmanager
def private_cluster(settings: Mapping[str, str] = SETTINGS, port: int = PORT) -> Iterator[Cluster]:
    """Start a cluster in a new directory; stop it and remove the directory at the end.

    `port` names its socket file, and is the port where the settings let it listen on the network too.
    """
    programs = server_programs()
    # In /tmp whatever TMPDIR says: the path of a socket must be short, and another user must be able to get there.
    directory = Path(tempfile.mkdtemp(prefix="farshore-pg-", dir="/tmp"))
    account = _unprivileged_account(directory)
    try:
        _initialise(programs, directory, account)
    except BaseException:
        shutil.rmtree(directory, ignore_errors=True)
        raise
    server = [str(programs / "postgres"), "-D", str(directory / "data"), "-k", str(directory)]
    server += [f"--{name}={value}" for name, value in {**settings, "port": str(port)}.items()]
    # Its own session: Ctrl-C reaches the tests, and the cluster stops only after them.
    keeper = subprocess.Popen(
        ["/bin/sh", "-c", KEEPER, "keeper", str(directory), *server],
        stdin=subprocess.PIPE,
        cwd=directory,
        start_new_session=True,
        **account,
    )
    try:
        cluster = Cluster(directory, port)
        _wait_until_ready(cluster)
        yield cluster
    finally:
        keeper.communicate(timeout=STOP_TIMEOUT_S)


def _unprivileged_account(directory: Path) -> dict[str, Any]:
    """Give the arguments that start a process as somebody else when we are root, as whom PostgreSQL refuses to run."""
    if os.geteuid() != 0:
        return {}
    names = {entry.pw_name for entry in pwd.getpwall()}
    user = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
    os.chown(directory, user.pw_uid, user.pw_gid)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _initialise(programs: Path, directory: Path, account: dict[str, Any]) -> None:
    command = [str(programs / "initdb"), "-D", str(directory / "data"), "--username", USER, "--auth", "trust"]
    command += ["--encoding", "UTF8", "--locale", "C", "--no-sync", "--no-instructions"]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False, **account)
    if done.returncode != 0:
        raise PostgresUnavailable(f"initdb failed: {done.stderr.strip()}")


def _wait_until_ready(cluster: Cluster) -> None:
    give_up_at = time.monotonic() + START_TIMEOUT_S
    while not cluster.answers():
        if time.monotonic() > give_up_at:
            raise PostgresUnavailable(f"PostgreSQL did not start: {(cluster.directory / 'log').read_text()}")
        time.sleep(0.05)


@pytest.fixture(scope="session")
def postgres_cluster() -> Iterator[Cluster]:
    with private_cluster() as cluster:
        yield cluster


@pytest.fixture
def postgres_url(postgres_cluster: Cluster) -> Iterator[str]:
    """An empty database of the test's own, as a SQLAlchemy URL."""
    with postgres_cluster.database() as url:
        yield url
