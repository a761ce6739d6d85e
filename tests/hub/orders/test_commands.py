"""What may be commanded."""

from __future__ import annotations

import pytest

from farshore_hub.errors import Invalid
from farshore_hub.orders.commands import check


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("reboot", {}),
        ("flush", {"stream": "boiler"}),
        ("pause", {}),
        ("pause", {"stream": "../x"}),
        ("resend", {"stream": "boiler", "first": "9", "last": "3"}),
        ("log-level", {"level": "loud", "for": "60"}),
    ],
)
def test_a_command_that_makes_no_sense_is_refused(name: str, arguments: dict[str, str]) -> None:
    with pytest.raises(Invalid):
        check(name, arguments)
