"""Runs schemathesis against a hub: `python -m tests.fuzz.api --examples 100 --store postgres`.

The hub speaks TLS, its peer has an admin's token and a site's certificate, and there are records of that site. Every
answer has to be what the hub's own OpenAPI description says: no 5xx, a described status, body and headers of the
described form, `Allow` of what the path takes, and requests that fit the description taken, others refused.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from farshore_hub.fleet.api_tokens import Role
from farshore_protocol.parcel import PARCEL_TYPE
from tests.hub.web.parcels import Sender
from tests.hub.web.running import RunningHub, running_hub
from tests.postgres import private_cluster

_CONFIG: Final = Path(__file__).with_name("schemathesis.toml")
_PROGRAM: Final = Path(sys.executable).with_name("schemathesis")
_ROOT: Final = Path(__file__).parents[2]
QUICK: Final = "examples,coverage"
ALL: Final = "examples,coverage,fuzzing,stateful"


def faults_of(hub: RunningHub, *, phases: str = QUICK, examples: int = 5, only: str = "") -> str:
    """What schemathesis says is wrong with the hub's API; nothing if all is well."""
    site = hub.join("ship-1")
    parcel = Sender(site.keys, site.membership).parcel([{"a": 1}])
    assert hub.ask("POST", "/v1/parcels", parcel, kind=PARCEL_TYPE, context=site.context).status == 200
    authority = hub.folder / "authority.pem"
    authority.write_bytes(hub.hub.keys.ca.pem)
    command: list[str | Path] = [
        _PROGRAM,
        "--config-file",
        _CONFIG,
        "run",
        f"{hub.scheme}://127.0.0.1:{hub.port}/openapi.json",
    ]
    command += ["--phases", phases, "--max-examples", str(examples), "--tls-verify", authority, "--no-color"]
    command += ["--header", f"Authorization: Bearer {hub.tokens[Role.ADMIN]}"]
    command += ["--request-cert", hub.folder / "client.pem"]
    command += ["--include-path", only] if only else []
    ran = subprocess.run(command, cwd=_ROOT, capture_output=True, check=False)
    said = ran.stdout.decode() + ran.stderr.decode()
    assert ran.returncode in {0, 1}, said
    return said if ran.returncode else ""


@contextmanager
def _database(store: str) -> Iterator[str]:
    if store == "sqlite":
        yield ""
        return
    with private_cluster() as cluster, cluster.database() as url:
        yield url


def main() -> int:
    """Exit code 1 and all that was found, if anything was."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--examples", type=int, default=100, help="of each operation")
    parser.add_argument("--store", choices=["sqlite", "postgres"], default="sqlite")
    asked = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        _database(asked.store) as url,
        running_hub(Path(folder), database=url) as hub,
    ):
        found = faults_of(hub, phases=ALL, examples=asked.examples)
    print(found or "nothing found")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
