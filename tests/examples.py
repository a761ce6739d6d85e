"""The examples in the documentation: where they stand, and what has to hold of them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Final

import click

ROOT: Final = Path(__file__).parents[1]
DOCS: Final = ROOT / "docs"
_BLOCK: Final = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_INLINE: Final = re.compile(r"`(farshore-(?:hub|agent) [^`]+)`")
_CALLED: Final = re.compile(r"(?:^\s*|\|\s*|sudo\s+)(farshore-(?:hub|agent) .*)")
_ROOTS: Final = {"farshore-hub": "farshore_hub.cli.root:root", "farshore-agent": "farshore_agent.cli:root"}
_ENDS: Final = frozenset("|<>&;") | {"&&", "||"}
_SHELL: Final = ("", "console", "sh")


@dataclass(frozen=True, slots=True)
class Step:
    """A line of a console, and what it says; `…` stands for anything."""

    line: str
    says: str


def pages() -> list[Path]:
    """All that people read, but not the records of decisions."""
    return [ROOT / "README.md", *(each for each in sorted(DOCS.rglob("*.md")) if "decisions" not in each.parts)]


def blocks(page: Path, *kinds: str) -> list[str]:
    """The fenced blocks of a page that are of these kinds."""
    return [text for kind, text in _BLOCK.findall(page.read_text()) if kind in kinds]


def commands(page: Path) -> list[str]:
    """Every call of our commands in blocks, and in the text where `farshore-… …` is one."""
    lines = [line.removeprefix("$ ") for text in blocks(page, *_SHELL) for line in text.splitlines()]
    found = [match[1] for line in lines if not line.startswith("#") and (match := _CALLED.search(line))]
    return found + _INLINE.findall(_BLOCK.sub("", page.read_text()))


def steps(section: str, page: Path) -> Iterator[Step]:
    """What is typed in a section of a page, in order; a file that is shown is written by its name in the text."""
    text = re.split(r"^#+ ", page.read_text().partition(section)[2], maxsplit=1, flags=re.MULTILINE)[0]
    for kind, block in _BLOCK.findall(text):
        if kind == "toml":
            yield Step(f"cat > farshore-agent.toml <<'END'\n{block}END", "")
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:] if kind == "console" else ():
            line, _, says = part.partition("\n")
            yield Step(line, says.strip())


def check_command(line: str) -> None:
    """Hold a call against the command that there is.

    Raises:
        AssertionError: there is no such command or option, or too many words.
    """
    words = _words(line)
    name = words.pop(0)
    module, _, attribute = _ROOTS[name].partition(":")
    command: click.Command = getattr(import_module(module), attribute)
    context = click.Context(command, info_name=name)
    while isinstance(command, click.Group):
        try:
            _, words, _ = command.make_parser(context).parse_args(words)
        except click.UsageError as error:
            raise AssertionError(f"{line}: {error.message}") from None
        if not words:
            return  # the group itself: its help, or its version
        inner = command.get_command(context, words.pop(0))
        assert inner is not None, f"there is no {line}"
        command, context = inner, click.Context(inner, parent=context)
    try:
        _, left, _ = command.make_parser(context).parse_args([word for word in words if word != "…"])
    except click.UsageError as error:
        raise AssertionError(f"{line}: {error.message}") from None
    assert not left, f"{line}: what is {' '.join(left)}?"


def _words(line: str) -> list[str]:
    """Of the first command of a line of shell, without comments and redirections."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|<>&;")
    lexer.whitespace_split = True
    found = []
    for word in lexer:
        if word in _ENDS:
            break
        found.append(word)
    return found
