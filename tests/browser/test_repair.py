"""A page outlives a restart of the hub, and shows that something is damaged there, and that it was repaired."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import apsw
import pytest
from playwright.sync_api import expect

from tests.acceptance.hub import Hub
from tests.acceptance.proxy import Proxy
from tests.acceptance.site import READINGS, Site
from tests.browser.axe import grave_faults
from tests.browser.conftest import Visit

pytestmark = pytest.mark.xdist_group("browser")


def test_an_open_page_sees_a_damaged_batch_wanted_and_then_healed(
    visit: Visit, hub: Hub, site: Site, link: Proxy, folder: Path
) -> None:
    expect.set_options(timeout=60_000)
    page = visit(f"/sites/{site.name}")
    page.evaluate("window.loaded = 'once'")
    expect(page.locator("#live")).to_have_text("Live")
    link.cut()
    site.must_post(40)
    parcels = site.export(folder / "carried.parcel")
    hub.stop()
    expect(page.locator("#live")).to_have_text("Reconnecting")
    # Carried by hand while the hub is down, so that it is not in the lake yet, and nothing else has a copy.
    hub.take(*parcels)
    _spoil_the_newest_batch(hub)
    assert f"asked {site.name} for 40 record(s) of {READINGS} again" in hub.run("doctor", "--repair").out
    hub.start()
    gaps = page.locator("#site-gaps")
    expect(page.locator("#live")).to_have_text("Live")
    expect(gaps).to_contain_text("wanted")
    assert grave_faults(page) == []
    link.restore()
    expect(gaps).to_contain_text("healed")
    expect(gaps).not_to_contain_text("wanted")
    expect(page.locator("#site-state")).to_have_text("complete")
    assert page.evaluate("window.loaded") == "once"


def _spoil_the_newest_batch(hub: Hub) -> None:
    with contextlib.closing(apsw.Connection(str(hub.data / "hub.db"))) as database:
        newest = "(SELECT max(id) FROM batches)"
        raw: Any = database.execute(f"SELECT raw FROM batches WHERE id = {newest}").get
        changed = raw[:-3] + bytes((raw[-3] ^ 1,)) + raw[-2:]
        database.execute(f"UPDATE batches SET raw = ? WHERE id = {newest}", (changed,))
