"""Photographs the page over a made-up fleet: docs/images/.

python -m tests.browser.screenshots [NAME…]
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.conftest import FLAGS
from tests.browser.made_up import made_up_hub

IMAGES: Final = Path(__file__).parents[2] / "docs" / "images"
SITES: Final = 40
SHOTS: Final[tuple[tuple[str, str, dict[str, Any]], ...]] = (
    ("fleet", "/", {"viewport": {"width": 1360, "height": 860}}),
    ("fleet-dark", "/?hours=168", {"viewport": {"width": 1360, "height": 860}, "color_scheme": "dark"}),
    ("site", "/sites/weir-11", {"viewport": {"width": 1360, "height": 1220}}),
    ("stream", "/sites/gauge-23/streams/pressure", {"viewport": {"width": 1360, "height": 860}}),
    ("phone", "/", {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "device_scale_factor": 2}),
    ("conflicts", "/conflicts?table=orders&state=open", {"viewport": {"width": 1360, "height": 700}}),
    ("phone-dark", "/sites/gauge-23", {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"}),
)


def photograph(browser: Browser, address: str, token: str, names: list[str]) -> None:
    """Make those, or all of them."""
    for name, path, options in [each for each in SHOTS if not names or each[0] in names]:
        context = browser.new_context(base_url=address, timezone_id="Europe/Berlin", locale="en-GB", **options)
        page = context.new_page()
        _open(page, path, token)
        page.screenshot(path=IMAGES / f"{name}.png")
        context.close()


def _open(page: Page, path: str, token: str) -> None:
    page.goto(path)
    page.get_by_label("API token").fill(token)
    page.get_by_role("button", name="Sign in").click()
    page.locator("main h1").wait_for()
    if page.locator("#live").count():
        page.locator("#live[data-state=live]").wait_for()
    page.evaluate("document.fonts.ready")
    page.evaluate("document.activeElement.blur()")


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="fs-") as folder, made_up_hub(Path(folder), SITES) as (address, token):
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=list(FLAGS))
            photograph(browser, address, token, sys.argv[1:])
            browser.close()
        print(*sorted(map(str, IMAGES.glob("*.png"))), sep="\n")


if __name__ == "__main__":
    main()
