"""The examples in the documentation: settings are taken by the program that they are for, commands are there."""

from __future__ import annotations

from pathlib import Path

import pytest

from farshore_agent.errors import AgentError
from farshore_agent.settings import parse as parse_agent
from farshore_hub import settings as hub
from farshore_hub.errors import HubError
from farshore_hub.orders.layers import LayersInvalid, read_layers
from tests.examples import ROOT, blocks, check_command, commands, pages, steps

PAGES = pages()


def ids(page: Path) -> str:
    return str(page.relative_to(ROOT))


WITH_SETTINGS = [page for page in PAGES if blocks(page, "toml")]
WITH_COMMANDS = [page for page in PAGES if commands(page)]


def faults(text: str) -> list[str]:
    """Why an example is nobody's settings; nothing, if it is somebody's."""
    said = []
    for taker in (_of_the_agent, _of_the_hub, _a_layer):
        try:
            taker(text)
        except (AgentError, HubError, LayersInvalid) as error:
            said.append(str(error))
        else:
            return []
    return said


def _of_the_agent(text: str) -> None:
    parse_agent(text if "state_dir" in text else f'state_dir = "state"\n{text}')


def _of_the_hub(text: str) -> None:
    hub.parse(f'addresses = ["https://hub.example.org:8443"]\n{text}', "an example")


def _a_layer(text: str) -> None:
    read_layers({"groups/example.toml": text})


@pytest.mark.parametrize("page", WITH_SETTINGS, ids=ids)
def test_the_settings_that_a_page_shows_are_taken(page: Path) -> None:
    for text in blocks(page, "toml"):
        assert not faults(text), f"{text}\n" + "\n".join(faults(text))


def test_settings_that_are_nobody_s_are_found() -> None:
    assert faults('[buffer]\nmax_byte = "1 GiB"\n')
    assert faults('[lake]\nurl = "/a/folder"\n')


@pytest.mark.parametrize("page", WITH_COMMANDS, ids=ids)
def test_the_commands_that_a_page_shows_are_there(page: Path) -> None:
    for line in commands(page):
        check_command(line)


@pytest.mark.parametrize(
    "line",
    [
        "farshore-hub fly",
        "farshore-hub alerts list --loud",
        "farshore-agent alerts",
        "farshore-hub alerts show 17 18",
        "farshore-hub --date-dir x serve",
    ],
)
def test_a_command_that_does_not_exist_is_found(line: str) -> None:
    with pytest.raises(AssertionError):
        check_command(line)


def test_the_way_of_a_newcomer_is_read_out_of_the_readme() -> None:
    """`make test-packages` goes it, in a clean system."""
    lines = [
        each.line for part in ("### Your own hub", "### Your own site") for each in steps(part, ROOT / "README.md")
    ]
    called = [line.split()[0] for line in lines]
    assert called.count("farshore-hub") >= 5
    assert called.count("farshore-agent") >= 3
    assert "curl" in called
