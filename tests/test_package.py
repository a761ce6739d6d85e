"""The distribution: what it installs, what it needs, and that the pins name packages and versions only."""

from __future__ import annotations

import re
from importlib import metadata
from importlib.resources import files
from pathlib import Path

import pytest

import farshore_protocol

CONSTRAINTS = Path(__file__).parent.parent / "packaging" / "constraints.txt"
PACKAGES = ["farshore_protocol", "farshore_agent", "farshore_hub", "farshore_demo"]
PIN = re.compile(r"(?P<name>[a-z0-9-]+)==[0-9][0-9a-z.+!]*( ; [a-z_]+ .+)?")


def _required_names(extra: str) -> set[str]:
    """The names of the direct dependencies of an extra; the base's are those of the extra ''."""
    requirements = metadata.requires("farshore") or []
    chosen = [line for line in requirements if (f"extra == '{extra}'" in line if extra else "extra ==" not in line)]
    return {re.split(r"[^A-Za-z0-9-]", line, maxsplit=1)[0].lower() for line in chosen}


def _targets(group: str) -> dict[str, str]:
    return {point.name: point.value for point in metadata.distribution("farshore").entry_points.select(group=group)}


def test_the_installed_version_is_the_one_in_the_source() -> None:
    assert metadata.version("farshore") == farshore_protocol.__version__
    assert re.fullmatch(r"\d+\.\d+\.\d+((a|b|rc)\d+)?", farshore_protocol.__version__)


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_says_that_it_is_typed(package: str) -> None:
    assert files(package).joinpath("py.typed").is_file()


def test_the_three_commands_are_installed() -> None:
    assert _targets("console_scripts") == {
        "farshore": "farshore_demo.cli:main",
        "farshore-agent": "farshore_agent.cli:main",
        "farshore-hub": "farshore_hub.cli:main",
    }


def test_an_agent_installs_nothing_that_only_the_hub_needs() -> None:
    assert _required_names("")
    assert _required_names("hub")
    assert not _required_names("") & _required_names("hub")


def test_every_direct_dependency_is_pinned() -> None:
    pinned = {line.split("==")[0] for line in CONSTRAINTS.read_text().splitlines()}
    assert _required_names("") | _required_names("hub") | _required_names("dev") <= pinned


def test_a_pin_names_a_package_and_a_version_and_no_host_or_path() -> None:
    assert [line for line in CONSTRAINTS.read_text().splitlines() if not PIN.fullmatch(line) or "/" in line] == []
