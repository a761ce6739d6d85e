"""Holds a page against WCAG 2.2 A and AA, as far as axe-core can."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Page

_SOURCE: Final = (Path(__file__).parent / "vendor" / "axe.min.js").read_text()
_GRAVE: Final = {"serious", "critical"}
_RUN: Final = "async () => (await axe.run(document, {resultTypes: ['violations']})).violations"


def grave_faults(page: Page) -> list[str]:
    """What axe finds serious or critical: rule, and where."""
    # Evaluated by the browser's debugger, so that the page's policy, which forbids foreign scripts, stays as it is.
    page.evaluate(_SOURCE)
    found: list[dict[str, Any]] = page.evaluate(_RUN)
    return [
        f"{fault['id']}: {fault['help']} at {node['target']}"
        for fault in found
        if fault["impact"] in _GRAVE
        for node in fault["nodes"]
    ]
