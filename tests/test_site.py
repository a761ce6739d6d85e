"""The documentation site is whole: every page is in the navigation, every link leads somewhere, every key is told."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, Final

import pytest

ROOT: Final = Path(__file__).parents[1]
_LINK: Final = re.compile(r"\]\(([^)\s]+)\)")
_FENCED: Final = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_NOT_IN_NAVIGATION: Final = re.compile(r"decisions/\d{4}-.*\.md")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site") / "docs"
    subprocess.run([sys.executable, "-m", "docs_site.assemble", folder], check=True, cwd=ROOT)
    return folder


def anchors_of(page: Path) -> set[str]:
    """The anchors of a page's titles, as the generator makes them."""
    titles = re.findall(r"^#+ (.*)$", _FENCED.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", title.lower()).strip()) for title in titles}


def test_every_link_leads_to_a_page_and_a_title_that_are_there(pages: Path) -> None:
    broken = []
    for page in sorted(pages.rglob("*.md")):
        for link in _LINK.findall(_FENCED.sub("", page.read_text())):
            target, _, anchor = link.partition("#")
            if "://" in link:
                continue
            to = (page.parent / target).resolve() if target else page
            if not to.is_file() or (anchor and anchor not in anchors_of(to)):
                broken.append(f"{page.relative_to(pages)}: {link}")
    assert not broken, "\n".join(broken)


def test_every_page_is_in_the_navigation_and_every_entry_is_a_page(pages: Path) -> None:
    named = set(_entries(tomllib.loads((ROOT / "zensical.toml").read_text())["project"]["nav"]))
    made = {str(page.relative_to(pages)) for page in pages.rglob("*.md")}
    assert named <= made, named - made
    assert {page for page in made - named if not _NOT_IN_NAVIGATION.fullmatch(page)} == set()


def test_the_reference_has_every_command_and_every_key(pages: Path) -> None:
    commands = (pages / "reference" / "farshore-hub.md").read_text()
    assert "farshore-hub site add" in commands
    keys = (pages / "reference" / "agent-settings.md").read_text()
    for key in ("state_dir", "max_bytes", "linger_offline", "listen", "pattern", "when_full"):
        assert f"| `{key}` |" in keys
    assert "[retention]" in (pages / "reference" / "hub-settings.md").read_text()


def _entries(given: Any) -> list[str]:  # noqa: ANN401 - TOML
    if isinstance(given, str):
        return [given]
    inner = given.values() if isinstance(given, dict) else given
    return [entry for each in inner for entry in _entries(each)]
