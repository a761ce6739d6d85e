"""The hub's settings over the site's file: key by key, within what the owner lets it change, and each fault named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farshore_agent.errors import SettingsError
from farshore_agent.settings import parse
from farshore_agent.settings.layers import LocalFile, is_accepted, load_file, merged, over, paths
from farshore_agent.settings.show import HIDDEN, Origin, shown

KEYS = st.sampled_from(["a", "b", "c", "d"])
TABLES = st.recursive(
    st.dictionaries(KEYS, st.integers(), max_size=3),
    lambda inner: st.dictionaries(KEYS, st.one_of(inner, st.integers()), max_size=3),
    max_leaves=12,
)
FILE = """
state_dir = "state"
[site_labels]
wifi_password = "hush"
[seal]
linger = "2 s"
[streams.boiler]
priority = 3
when_full = "thin"
"""
ALL = ("seal", "streams", "buffer", "forward", "inputs", "site_labels")


def local(folder: Path, text: str = FILE) -> LocalFile:
    (folder / "agent.toml").write_text(text)
    return load_file(folder / "agent.toml")


def value_at(tables: Any, path: tuple[str, ...]) -> Any:  # noqa: ANN401 - any value of TOML
    for key in path:
        tables = tables[key]
    return tables


@given(TABLES, TABLES)
def test_what_the_upper_tables_say_holds_and_nothing_else_changes(under: dict[str, Any], above: dict[str, Any]) -> None:
    whole = merged(under, above)
    for path in paths(above):
        found = value_at(whole, path)
        assert found == value_at(above, path) or value_at(above, path) == {}
    for path in paths(under):
        if not any(path[: len(other)] == other or other[: len(path)] == path for other in paths(above)):
            assert value_at(whole, path) == value_at(under, path)


@given(TABLES, TABLES, TABLES)
def test_layers_can_be_laid_in_any_grouping(one: dict[str, Any], two: dict[str, Any], three: dict[str, Any]) -> None:
    assert merged(one, merged(one, two)) == merged(one, two)
    assert merged(one, {}) == one
    left, right = merged(merged(one, two), three), merged(one, merged(two, three))
    assert all(value_at(left, path) == value_at(right, path) for path in paths(three) if value_at(three, path) != {})


def test_keys_of_one_table_come_from_both(tmp_path: Path) -> None:
    found = over(local(tmp_path), "[streams.boiler]\npriority = 9\n", ALL).settings.streams["boiler"]
    assert (found.priority, found.when_full) == (9, "thin")


def test_the_owner_says_what_may_be_changed_and_two_things_never_may() -> None:
    accept = ("streams.boiler", "forward.heartbeat", "seal", "orders", "state_dir")
    assert is_accepted(("streams", "boiler", "priority"), accept)
    assert not is_accepted(("streams", "pump", "priority"), accept)
    assert is_accepted(("forward", "heartbeat"), accept)
    assert not is_accepted(("forward", "hub"), accept)
    assert not is_accepted(("orders", "accept"), accept)
    assert not is_accepted(("state_dir",), accept)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("[seal]\nlinger = 'soon'", "the hub's settings: seal.linger"),
        (
            "[seal]\nmax_bytes = '1 MiB'\n[buffer]\nmax_bytes = '9 MiB'\nmax_commit_bytes = '8 MiB'",
            "the hub's settings",
        ),
        ("[forward]\nmax_parcel_bytes = '64 KiB'", "with the hub's settings over it: seal.max_bytes"),
        ("nonsense", "is not TOML"),
        (".".join("a" * 40_000) + " = 1", "is not TOML: a key has more than 32 parts"),
        ("[tables.x]\ndatabase = 'x'", "does not let its hub change it"),
    ],
)
def test_a_problem_says_whose_it_is(tmp_path: Path, text: str, where: str) -> None:
    with pytest.raises(SettingsError) as failed:
        over(local(tmp_path), text, ALL)
    assert where in str(failed.value)


@pytest.mark.parametrize("accept", ["orders", "state_dir", "seals", "orders.accept"])
def test_an_owner_cannot_let_a_hub_change_what_none_may_or_what_is_not_there(accept: str) -> None:
    with pytest.raises(SettingsError, match=r"orders\.accept"):
        parse(f"[orders]\naccept = ['{accept}']")


def test_every_setting_is_shown_with_where_it_comes_from(tmp_path: Path) -> None:
    effective = over(local(tmp_path), "[seal]\nmax_records = 5\n[streams.boiler]\npriority = 9\n", ALL)
    found = {each.key: (each.value, each.origin) for each in shown(effective)}
    assert found["seal.max_records"] == (5, Origin.HUB)
    assert found["seal.linger"] == ("2 s", Origin.FILE)
    assert found["seal.linger_offline"] == ("10 min", Origin.DEFAULT)
    assert found["streams.boiler.priority"] == (9, Origin.HUB)
    assert found["streams.boiler.when_full"] == ("thin", Origin.FILE)
    assert found["buffer.max_bytes"] == ("1 GiB", Origin.DEFAULT)
    assert found["site_labels.wifi_password"] == (HIDDEN, Origin.FILE)
    assert {each.key: each.value for each in shown(effective, secrets=True)}["site_labels.wifi_password"] == "hush"
