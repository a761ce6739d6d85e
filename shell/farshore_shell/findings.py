"""What a doctor finds, in plain words: what is wrong, whose matter it is, what was lost and what to do."""

from __future__ import annotations

import enum
import json
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import click

EXIT_TO_DO: Final = 20
EXIT_LOST: Final = 21


class Severity(enum.StrEnum):
    """How much a finding matters."""

    NOTE = "note"
    """Worth knowing; nothing has to be done."""
    TO_DO = "to do"
    """Somebody has to do something."""
    LOST = "lost"
    """Records are lost. They are named."""


class Fault(enum.StrEnum):
    """Whose matter it is."""

    DISK = "the disk or the machine"
    OPERATOR = "the operator"
    NETWORK = "the network"
    HUB = "the hub"
    SITE = "the site"
    OURS = "Farshore"


@dataclass(frozen=True, slots=True)
class Lost:
    """Records that cannot be read any more: sequences of a stream in one incarnation."""

    stream: str
    incarnation: str
    ranges: list[tuple[int, int]]
    site: str = ""

    @property
    def count(self) -> int:
        """How many records."""
        return sum(last - first + 1 for first, last in self.ranges)

    def __str__(self) -> str:
        shown = ", ".join(f"{first}…{last}" if last > first else str(first) for first, last in self.ranges)
        owner = f"{self.site}/" if self.site else ""
        return f"{self.count} record(s) of {owner}{self.stream}: {shown} (incarnation {self.incarnation})"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found.

    Attributes:
        code: its name, the same every time; docs/how-to/repair.md explains it under this name.
        what: what is wrong.
        remedy: what to do.
        lost: which records.
    """

    code: str
    severity: Severity
    what: str
    fault: Fault
    remedy: str = ""
    lost: list[Lost] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """For programs."""
        return {**asdict(self), "lost_records": sum(each.count for each in self.lost)}


@dataclass(slots=True)
class Report:
    """Everything that was found; `looked_at` says what was in order."""

    findings: list[Finding] = field(default_factory=list)
    looked_at: list[str] = field(default_factory=list)
    repaired: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0 healthy, 20 something to do, 21 something was lost."""
        severities = {finding.severity for finding in self.findings}
        if Severity.LOST in severities:
            return EXIT_LOST
        return EXIT_TO_DO if Severity.TO_DO in severities else 0

    def document(self) -> dict[str, Any]:
        """For programs."""
        verdict = {0: "healthy", EXIT_TO_DO: "something to do", EXIT_LOST: "something was lost"}[self.exit_code]
        return {
            "verdict": verdict,
            "findings": [finding.document() for finding in self.findings],
            "looked_at": self.looked_at,
            "repaired": self.repaired,
        }


def show(report: Report, *, as_json: bool) -> None:
    """Print a report."""
    if as_json:
        click.echo(json.dumps(report.document(), ensure_ascii=False, indent=2))
        return
    for line in lines(report):
        click.echo(line)


def lines(report: Report) -> Iterable[str]:
    """A report for people."""
    yield from (f"ok       {what}" for what in report.looked_at)
    for finding in report.findings:
        yield f"{finding.severity.value:<8} {finding.what}"
        yield from (f"         lost: {each}" for each in finding.lost)
        yield f"         whose matter: {finding.fault.value}  [{finding.code}]"
        if finding.remedy:
            yield f"         what to do: {finding.remedy}"
    yield from (f"repaired {what}" for what in report.repaired)
    lost = sum(each.count for finding in report.findings for each in finding.lost)
    verdict = report.document()["verdict"]
    yield f"{verdict}: {lost} record(s)" if lost else str(verdict)


def progress(what: str, *, quiet: bool) -> Callable[[int], None]:
    """Tells how much was read, on a terminal's standard error only; not more than once for each 16 MiB."""
    is_shown = not quiet and sys.stderr.isatty()
    shown = 0

    def tell(read_bytes: int) -> None:
        nonlocal shown
        if is_shown and read_bytes - shown >= _SHOWN_EVERY_BYTES:
            shown = read_bytes
            click.echo(f"\r{what}: {read_bytes >> 20} MiB read", nl=False, err=True)

    return tell


_SHOWN_EVERY_BYTES: Final = 16 << 20
