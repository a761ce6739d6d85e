"""A real hub, agent and browser. What a page writes to its console, or asks of anybody else, fails its test."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright

from tests.acceptance.hub import Hub
from tests.acceptance.proxy import Proxy
from tests.acceptance.site import Site

FLAGS: Final = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SETTINGS: Final = """
[completeness]
silent_after = "3 s"

[tables.orders]
columns = { stock = "manual" }
"""
_PATIENCE_MS: Final = 60_000
_ADVICE: Final = {"verbose", "debug", "info"}
"""What Chromium thinks could be better is no error."""


@pytest.fixture
def chromium() -> Iterator[Browser]:
    """One for each test: while Playwright is there, its event loop runs in this process, and no other test's can."""
    program = shutil.which("chromium")
    assert program, "there is no chromium: sh packaging/ensure-chromium.sh installs it"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    """Short, because a unix socket's path has to be."""
    path = Path(tempfile.mkdtemp(prefix="fs-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def hub(folder: Path) -> Iterator[Hub]:
    made = Hub(folder)
    with (made.data / "hub.toml").open("a") as settings:
        settings.write(SETTINGS)
    try:
        made.start()
        yield made
    finally:
        made.kill()


@pytest.fixture(scope="session")
def link(hub: Hub) -> Iterator[Proxy]:
    """Between the site and the hub."""
    with Proxy(hub.port) as proxy:
        yield proxy


@pytest.fixture(scope="session")
def site(hub: Hub, folder: Path, link: Proxy) -> Iterator[Site]:
    """A site that has delivered something."""
    made = Site("pump-station-7", folder / "s", link.port)
    try:
        made.join(hub)
        made.start()
        made.must_post(120)
        yield made
    finally:
        made.kill()


Visit = Callable[..., Page]


@pytest.fixture
def visit(chromium: Browser, hub: Hub) -> Iterator[Visit]:
    """Opens a page of the hub in a browser of its own; signed in with the admin's token unless told otherwise."""
    faults: list[str] = []
    with ExitStack() as stack:

        def opened(path: str = "/", *, signed_in: bool = True, **options: Any) -> Page:  # noqa: ANN401 - Playwright's
            settings: dict[str, Any] = {
                "ignore_https_errors": True,
                "timezone_id": "Europe/Berlin",
                "locale": "en-GB",
            } | options
            context = chromium.new_context(base_url=hub.address, **settings)
            context.set_default_timeout(_PATIENCE_MS)
            stack.callback(context.close)
            page = context.new_page()
            _watch(page, hub.address, faults)
            page.goto(path)
            if signed_in:
                page.get_by_label("API token").fill(hub.token)
                page.get_by_role("button", name="Sign in").click()
                page.locator("h1").wait_for()
            return page

        yield opened
    assert faults == []


def _watch(page: Page, home: str, faults: list[str]) -> None:
    def said(message: ConsoleMessage) -> None:
        # A refused form, and a hub that is stopped under a page, are told by the browser itself.
        expected = "Failed to load resource" in message.text
        if message.type not in _ADVICE and not expected:
            faults.append(f"{message.type}: {message.text}")

    def asked(request: Request) -> None:
        if not request.url.startswith((f"{home}/", "data:")):
            faults.append(f"asked {request.url}")

    page.on("console", said)
    page.on("request", asked)
    page.on("pageerror", lambda error: faults.append(f"thrown: {error}"))
