"""Every kind of alert has a runbook with its four parts. Its commands: tests/test_examples.py."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from farshore_hub.alerts.kinds import Kind

DOCS = Path(__file__).parents[1] / "docs"
FOLDER = DOCS / "runbooks"
PAGES = sorted(FOLDER.glob("*.md"))
LINKED = [*PAGES, DOCS / "how-to" / "alerts.md"]
PARTS = ("**What it means.**", "**See more.**", "**What to do.**", "**When to worry.**")


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_has_a_runbook_with_its_parts(kind: Kind) -> None:
    text = (FOLDER / f"{kind}.md").read_text()
    assert text.startswith(f"# {kind}: ")
    assert [text.count(part) for part in PARTS] == [1, 1, 1, 1]
    assert f"| [{kind}]({kind}.md) |" in (FOLDER / "README.md").read_text()


def test_no_runbook_is_of_no_kind() -> None:
    assert {page.stem for page in PAGES} == {"README", *map(str, Kind)}


@pytest.mark.parametrize("page", LINKED, ids=lambda page: page.stem)
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        assert link.startswith("https://") or (page.parent / link).exists(), link
