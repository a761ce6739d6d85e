"""What may name a site or a stream."""

from __future__ import annotations

import pytest

from farshore_protocol import names


@pytest.mark.parametrize("name", ["boiler", "b", "9lives", "wind_speed-2", "a" * 63])
def test_plain_names_are_allowed(name: str) -> None:
    assert names.check_stream(name) == name


@pytest.mark.parametrize(
    "name", ["", "a/b", "../etc", "Boiler", "größe", "🔥", "a b", "-a", "_a", "a.b", "a" * 64, "a\n"]
)
def test_other_stream_names_are_refused_with_the_rule(name: str) -> None:
    with pytest.raises(names.BadName, match=r"use 1 to 63 of a-z, 0-9"):
        names.check_stream(name)


@pytest.mark.parametrize("name", ["", "site_1", "a.b", "A", "-a", "a" * 64])
def test_other_site_names_are_refused(name: str) -> None:
    with pytest.raises(names.BadName, match="site name"):
        names.check_site(name)


def test_a_refused_name_is_not_printed_at_full_length() -> None:
    with pytest.raises(names.BadName) as caught:
        names.check_stream("x" * 10_000)
    assert len(str(caught.value)) < 250


def test_companions_are_known_by_their_suffix() -> None:
    companion = names.companion_of("boiler", names.HOURLY)
    assert names.check_any_stream(companion) == "boiler.hourly"
    assert names.base_of(companion) == names.base_of("boiler") == "boiler"
    with pytest.raises(names.BadName, match="quarantine or hourly"):
        names.check_any_stream("boiler.other")
