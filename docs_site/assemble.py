"""Puts together what the documentation site is made of: `python -m docs_site.assemble FOLDER`.

The pages in docs/, those at the top of the repository, and the reference, which is made from the code.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path
from typing import Final

from docs_site import reference

ROOT: Final = Path(__file__).resolve().parents[1]
_TOP: Final = {"README.md": "index.md", "ARCHITECTURE.md": "architecture.md", "CHANGELOG.md": "changelog.md"}
_LINK: Final = re.compile(r"\]\(([^)#\s]+)(#[^)\s]*)?\)")


def main() -> None:
    """Write all pages into the folder that is named on the command line."""
    folder = Path(sys.argv[1])
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT / "docs", folder)
    made = {page: _as_in_docs((ROOT / source).read_text()) for source, page in _TOP.items()}
    made["decisions/index.md"] = _decisions()
    made |= reference.pages()
    for path, content in made.items():
        target = folder / path
        target.parent.mkdir(exist_ok=True)
        target.write_text(content)
    for page in folder.rglob("*.md"):
        page.write_text(_up_to_the_top(page.read_text(), page.relative_to(folder)))


def _as_in_docs(text: str) -> str:
    """A page of the top with its links as they are from docs/."""

    def moved(link: re.Match[str]) -> str:
        target, anchor = link[1], link[2] or ""
        if "://" in target:
            return link[0]
        target = _TOP.get(target, target.removeprefix("docs/"))
        return f"]({'decisions/index.md' if target.rstrip('/') == 'decisions' else target}{anchor})"

    return _LINK.sub(moved, text)


def _up_to_the_top(text: str, page: Path) -> str:
    """A page of docs/ with its links to pages at the top as they are on the site."""
    up = "../" * (len(page.parts) - 1)
    for source, target in _TOP.items():
        text = text.replace(f"]({up}../{source}", f"]({up}{target}")
    return text


def _decisions() -> str:
    """A list of all decisions, by their titles."""
    lines = ["# Decisions", "", "Why it is as it is, one page each.", ""]
    for path in sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md")):
        title = path.read_text().partition("\n")[0].removeprefix("# ")
        lines.append(f"- [{title}]({path.name})")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
