"""What may be commanded."""

from __future__ import annotations

import pytest

from farshore_agent.settings.orders import COMMANDS as KNOWN_TO_AGENTS
from farshore_hub.errors import Invalid
from farshore_hub.orders.commands import COMMANDS, check


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("reboot", {}),
        ("flush", {"stream": "boiler"}),
        ("pause", {}),
        ("pause", {"stream": "../x"}),
        ("resend", {"stream": "boiler", "first": "9", "last": "3"}),
        ("log-level", {"level": "loud", "minutes": "60"}),
        ("log-level", {"level": "debug", "minutes": "1441"}),
        ("log-level", {"level": "debug"}),
    ],
)
def test_a_command_that_makes_no_sense_is_refused(name: str, arguments: dict[str, str]) -> None:
    with pytest.raises(Invalid):
        check(name, arguments)


def test_agents_know_every_command_that_there_is() -> None:
    assert sorted(COMMANDS) == sorted(KNOWN_TO_AGENTS)
    check("resend", {"stream": "boiler.quarantine", "first": "1", "last": "1"})
    check("log-level", {"level": "debug", "minutes": "1440"})
