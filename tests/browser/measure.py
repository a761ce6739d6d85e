"""What the fleet's page costs with many sites: processor time at the hub, and in the browser.

python -m tests.browser.measure --sites 10000
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import sync_playwright

from farshore_hub.fleet.context import Fleet
from farshore_hub.ledger.standing import SiteLine
from farshore_hub.overview import Overview
from farshore_hub.reports import Reporter
from farshore_hub.store import migrate
from farshore_hub.store.engine import open_engine
from farshore_hub.web.pages.address import FleetAddress
from farshore_hub.web.pages.cells import letters
from farshore_hub.web.pages.live import Pieces
from farshore_hub.web.pages.reading import fleet_pieces
from farshore_hub.web.pages.views import fleet_page
from farshore_protocol.hours import HOUR_US
from farshore_shell.system import SystemClock, SystemRandom
from tests.browser.conftest import FLAGS
from tests.browser.made_up import made_up_hub, make_up

SILENT_AFTER_S: Final = 900
KEPT_BYTES: Final = 2**26

IN_BROWSER: Final = 150
"""Sites of the hub that the browser looks at: a page has 100, however many there are."""


def at_the_hub(folder: Path, sites: int) -> None:
    """Print the time of each step, the median of five."""
    clock = SystemClock()
    engine = open_engine(f"sqlite:///{folder / 'hub.db'}")
    migrate.upgrade(engine)
    make_up(engine, sites, clock.now_us())
    keys: Any = None
    fleet = Fleet(engine, keys, [], 1, 1, clock, SystemRandom())
    overview, reporter = Overview(fleet, SILENT_AFTER_S), Reporter(fleet, SILENT_AFTER_S, KEPT_BYTES)
    last = clock.now_us() // HOUR_US
    lines = _timed("how the sites stand", overview.lines)
    for hours in (24, 168):
        rows = _timed(f"their last {hours} hours", partial(reporter.fleet_hours, last - hours + 1, last))
        cells = {row.site: letters(row.cells) for row in rows}
        _timed(
            f"the page with {hours} hours", partial(_rendered, FleetAddress(hours=hours), lines, cells, clock.now_us())
        )
    engine.dispose()


def in_the_browser(folder: Path) -> None:
    """Print what Chromium spends on the page until it is quiet."""
    with made_up_hub(folder, IN_BROWSER) as (address, token), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=list(FLAGS))
        page = browser.new_page(base_url=address)
        page.goto("/")
        page.get_by_label("API token").fill(token)
        page.get_by_role("button", name="Sign in").click()
        page.locator("#fleet-rows").wait_for()
        session = page.context.new_cdp_session(page)
        session.send("Performance.enable", {"timeDomain": "threadTicks"})
        page.goto("/?hours=168")
        page.locator("#live[data-state=live]").wait_for()
        found = {each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]}
        for name in ("TaskDuration", "ScriptDuration", "LayoutDuration", "RecalcStyleDuration"):
            print(f"in the browser: {name:20} {found[name] * 1000:7.0f} ms")
        browser.close()


def _rendered(address: FleetAddress, lines: list[SiteLine], cells: dict[str, str], now_us: int) -> Pieces:
    return fleet_pieces(fleet_page(address, lines, cells, now_us))


def _timed(what: str, work: Callable[[], Any]) -> Any:  # noqa: ANN401 - whatever it gives
    given, taken = work(), []
    for _ in range(5):
        began = time.process_time()
        work()
        taken.append(time.process_time() - began)
    print(f"at the hub: {what:28} {sorted(taken)[2] * 1000:7.0f} ms", flush=True)
    return given


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sites", type=int, default=10_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fs-") as folder:
        at_the_hub(Path(folder), asked.sites)
        in_the_browser(Path(folder))


if __name__ == "__main__":
    main()
