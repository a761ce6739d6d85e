"""`farshore-hub backup` as an operator uses it: made while sites deliver, verified, restored on another machine."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from tests.acceptance.commands import run, succeed, until
from tests.acceptance.conftest import MakeSite
from tests.acceptance.hub import Hub
from tests.acceptance.settled import assert_settled, drain
from tests.acceptance.site import READINGS, Site


def test_a_hub_comes_back_from_a_backup_that_was_made_while_it_ran(own_hub: Hub, sites: MakeSite, folder: Path) -> None:
    with (own_hub.data / "hub.toml").open("a") as settings:
        settings.write('\n[retention]\narchive = "backup"\n')
    own_hub.stop()
    own_hub.start()
    site = sites(own_hub)
    target = folder / "backups"
    for _ in range(2):
        _deliver(own_hub, site)
        own_hub.do("backup", "create", target)
    _deliver(own_hub, site)
    made = own_hub.do("backup", "create", target, "--keep", "2", "--json").json
    assert made["removed"], "the oldest of three is gone"
    listed = own_hub.do("backup", "list", target, "--json").json
    assert [each["path"] for each in listed] == sorted(each["path"] for each in listed)
    assert len(listed) == 2
    assert made["copied_bytes"] < made["bytes"], "what the lake had before is linked"

    site.must_post(300)
    drain(own_hub, site)
    until("the site may forget what the oldest backup that is kept has", lambda: _archived_at(site) == 600)

    own_hub.stop()
    shutil.move(own_hub.data, folder / "the machine that burned")
    keys = folder / "the machine that burned" / "keys"
    refused = run("farshore-hub", "--data-dir", own_hub.data, "backup", "restore", made["path"])
    assert refused.code == 5
    assert "keys restore FILE" in refused.err
    succeed("farshore-hub", "--data-dir", own_hub.data, "backup", "restore", made["path"], "--keys", keys)
    own_hub.start()
    site.must_post(300)
    assert_settled(own_hub, site)


def _deliver(hub: Hub, site: Site) -> None:
    site.must_post(300)
    drain(hub, site)
    until("the lake has it", lambda: hub.in_lake(READINGS).total() == site.acknowledged[READINGS].total())


def _archived_at(site: Site) -> int:
    with closing(sqlite3.connect(f"file:{site.state / 'buffer.db'}?mode=ro", uri=True)) as buffer:
        [[upto]] = buffer.execute("SELECT max(archived) FROM streams WHERE name = ?", (READINGS,)).fetchall()
    return int(upto)
