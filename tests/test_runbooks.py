"""Every kind of alert has a runbook with its four parts, and what a runbook tells to do can be done."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import click
import pytest

from farshore_hub.alerts.kinds import Kind

DOCS = Path(__file__).parents[1] / "docs"
FOLDER = DOCS / "runbooks"
PAGES = sorted(FOLDER.glob("*.md"))
WITH_COMMANDS = [*PAGES, DOCS / "how-to" / "alerts.md"]
PARTS = ("**What it means.**", "**See more.**", "**What to do.**", "**When to worry.**")
ROOTS = {"farshore-hub": "farshore_hub.cli.root:root", "farshore-agent": "farshore_agent.cli:root"}


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_has_a_runbook_with_its_parts(kind: Kind) -> None:
    text = (FOLDER / f"{kind}.md").read_text()
    assert text.startswith(f"# {kind}: ")
    assert [text.count(part) for part in PARTS] == [1, 1, 1, 1]
    assert f"| [{kind}]({kind}.md) |" in (FOLDER / "README.md").read_text()


def test_no_runbook_is_of_no_kind() -> None:
    assert {page.stem for page in PAGES} == {"README", *map(str, Kind)}


@pytest.mark.parametrize("page", WITH_COMMANDS, ids=lambda page: page.stem)
def test_the_commands_of_a_page_exist_with_their_options(page: Path) -> None:
    lines = list(re.findall(r"`(farshore-(?:hub|agent) [^`]+)`", page.read_text()))
    lines += [line for line in page.read_text().splitlines() if line.startswith(("farshore-hub ", "farshore-agent "))]
    for line in lines:
        _check(line)
    assert lines or page.stem == "README"


@pytest.mark.parametrize("page", WITH_COMMANDS, ids=lambda page: page.stem)
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        assert link.startswith("https://") or (page.parent / link).exists(), link


@pytest.mark.parametrize("line", ["farshore-hub fly", "farshore-hub alerts list --loud", "farshore-agent alerts"])
def test_a_command_that_does_not_exist_is_found(line: str) -> None:
    with pytest.raises(AssertionError):
        _check(line)


def _check(line: str) -> None:
    name, *words = line.split()
    module, _, attribute = ROOTS[name].partition(":")
    command: click.Command = getattr(import_module(module), attribute)
    context = click.Context(command)
    while isinstance(command, click.Group):
        assert words, f"{line}: a command is missing"
        inner = command.get_command(context, words.pop(0))
        assert inner is not None, f"there is no {line}"
        command = inner
    options = {option for each in command.params for option in each.opts}
    for word in words:
        assert not word.startswith("--") or word in options, f"{line}: there is no option {word}"
