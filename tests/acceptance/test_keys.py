"""Other keys for a hub, and a hub that burned, while one site is there and another is away through all of it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from tests.acceptance.commands import run, succeed
from tests.acceptance.conftest import MakeSite
from tests.acceptance.hub import Hub
from tests.acceptance.settled import assert_settled, drain
from tests.acceptance.site import Site

KINDS = ("signing", "sealing", "ca")


def test_nothing_is_lost_when_all_keys_are_replaced_and_the_hub_burns_while_a_site_is_away(
    own_hub: Hub, sites: MakeSite, folder: Path
) -> None:
    here, away = sites(own_hub), sites(own_hub)
    for site in (here, away):
        site.must_post(100)
        drain(own_hub, site)
    own_hub.stop()
    away.must_post(100)
    away.export(folder / "sealed to the old key")
    away.kill()
    own_hub.start()

    words, keys = folder / "words", folder / "hub.keys"
    words.write_text("correct horse battery staple\n")
    assert own_hub.run("keys", "rotate", *KINDS).code == 5, "who says nothing of a backup is asked"
    made = own_hub.do("keys", "rotate", *KINDS, "--backup", keys, "--passphrase-file", words, "--json").json
    assert made["sites"] == 2
    here.must_post(100)
    drain(own_hub, here)
    assert own_hub.do("keys", "list", "--json").json["unheard"] == 1
    assert _keyring(here) == made["keyring"] > 0 == _keyring(away)

    assert own_hub.run("keys", "retire", "signing", "ca").code == 5, "who is asked and says nothing has not said yes"
    retired = own_hub.do("keys", "retire", "signing", "ca", "--yes", "--json").json
    assert sorted(each["use"] for each in retired["keys"]) == ["opens", "seals and opens", "signs", "signs"]
    newest, backups = folder / "newest.keys", folder / "backups"
    own_hub.do("keys", "backup", newest, "--passphrase-file", words)
    assert own_hub.run("keys", "backup", newest, "--passphrase-file", words).code == 6, "a backup is not written over"
    data = own_hub.do("backup", "create", backups, "--json").json["path"]

    own_hub.stop()
    shutil.move(own_hub.data, folder / "the machine that burned")
    refused = run("farshore-hub", "--data-dir", own_hub.data, "backup", "restore", data)
    assert (refused.code, "keys restore FILE" in refused.err) == (5, True)
    succeed("farshore-hub", "--data-dir", own_hub.data, "keys", "restore", newest, "--passphrase-file", words)
    succeed("farshore-hub", "--data-dir", own_hub.data, "backup", "restore", data)
    own_hub.trust_anew()
    own_hub.start()
    away.start()
    for site in (here, away):
        site.must_post(100)
    assert_settled(own_hub, here, away)
    assert _keyring(here) == _keyring(away) == retired["keyring"]


def _keyring(site: Site) -> int:
    identity: dict[str, Any] = json.loads((site.state / "identity" / "identity.json").read_text())
    return int(identity["membership"][8])
