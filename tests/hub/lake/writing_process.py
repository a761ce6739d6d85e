"""A lake writer in a process of its own, to be killed.

Arguments: the store's URL, the lake's folder, and one for the rest.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from farshore_hub.lake.files.location import in_folder
from farshore_hub.lake.lease import lease_for
from farshore_hub.lake.settings import LakeSettings
from farshore_hub.lake.writer import LakeWriter
from farshore_hub.store.engine import open_engine
from farshore_shell.system import SystemClock, ThreadRunner
from tests.hub.lake.stored import KeyOpener, Stored


async def _write(url: str, lake: Path, folder: Path) -> None:
    engine = open_engine(url)
    stored = Stored(engine, in_folder(lake), folder)
    settings = LakeSettings(within_us=0, max_commit_records=20, forget_every_s=0, max_small_files=5, vacuum_after_h=1)
    print("ready", flush=True)  # noqa: T201  the parent waits for it
    lease = lease_for(engine, stored.lock_file)
    await LakeWriter(engine, KeyOpener(), stored.tables, lease, SystemClock(), ThreadRunner("lake"), settings).run()


if __name__ == "__main__":
    asyncio.run(_write(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])))
