"""Which version is built, from which commit, and as of when. Two builds of one commit are the same, byte for byte."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Self

from farshore_build.products import ROOT
from farshore_protocol import __version__

DATE_VARIABLE: Final = "SOURCE_DATE_EPOCH"
"""reproducible-builds.org's: the time of everything that is built, in seconds since 1970."""


class NoDate(Exception):
    """There is neither a commit nor a date."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """Of one build.

    Attributes:
        commit: its short name; empty outside a repository.
        epoch_s: its time, or as given.
    """

    version: str
    commit: str
    epoch_s: int

    @classmethod
    def of_this_tree(cls) -> Self:
        """Of the work tree.

        Raises:
            NoDate: it is no repository, and no date is given.
        """
        commit = _git("rev-parse", "--short=12", "HEAD")
        changed = "-changed" if _git("status", "--porcelain", "--untracked-files=no") else ""
        given = os.environ.get(DATE_VARIABLE) or _git("log", "-1", "--format=%ct")
        if not given:
            raise NoDate(f"this is no git repository: set {DATE_VARIABLE}")
        return cls(__version__, commit + changed if commit else "", int(given))

    @property
    def text(self) -> str:
        """What `--version` adds, such as `1a2b3c4d5e6f, 2026-11-26`."""
        return ", ".join(filter(None, (self.commit, self.date)))

    @property
    def date(self) -> str:
        """The day, UTC."""
        return datetime.fromtimestamp(self.epoch_s, UTC).strftime("%Y-%m-%d")

    @property
    def environment(self) -> dict[str, str]:
        """For the tools that build."""
        return {**os.environ, DATE_VARIABLE: str(self.epoch_s)}


def _git(*arguments: str) -> str:
    said = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return said.stdout.strip() if said.returncode == 0 else ""
