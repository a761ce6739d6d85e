"""docs/security.md names tests that are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent
DOCS = HERE.parent.parent / "docs"
NAMED = re.compile(r"`((?:\.\./|processes/)?[\w/]*test_\w+\.py)(?:::(\w+))?`")
PAGES = (DOCS / "security.md", DOCS / "security" / "asvs.md")


def named_in(page: Path) -> list[tuple[str, str]]:
    return [(found[1], found[2] or "") for found in NAMED.finditer(page.read_text())]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_test_that_the_page_names_is_there(page: Path) -> None:
    named = named_in(page)
    assert len(named) > 5
    missing = [(file, name) for file, name in named if not _is_there(HERE / file, name)]
    assert missing == []


def test_a_name_that_is_not_there_would_be_noticed() -> None:
    assert not _is_there(HERE / "test_the_page.py", "test_of_nothing")
    assert not _is_there(HERE / "test_nowhere.py", "")


def _is_there(file: Path, name: str) -> bool:
    return file.is_file() and (not name or bool(re.search(rf"^(async )?def {name}\(", file.read_text(), re.MULTILINE)))


def test_every_requirement_of_the_list_has_an_answer() -> None:
    rows = [line for line in PAGES[1].read_text().splitlines() if re.match(r"\| \d+\.\d+", line)]
    assert len(rows) > 60
    for row in rows:
        _, what, met, how = (cell.strip() for cell in row.strip("|").split("|"))
        assert what
        assert met in {"yes", "partly", "no", "n/a"}, row
        assert how, row
