"""`hub.toml`, durations, and where the data directory is."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farshore_hub import settings
from farshore_hub.errors import SettingsInvalid
from farshore_hub.texts.durations import parse_duration_s

LEAST = 'addresses = ["https://hub.example.org:8443"]\n'


def test_what_is_not_set_has_its_default() -> None:
    found = settings.parse(LEAST, "hub.toml")
    assert (found.listen, found.certificates.site_life, found.retention.archive) == (
        "0.0.0.0:8443",
        30 * 86_400,
        "never",
    )


def test_what_the_template_shows_as_default_is_the_default(tmp_path: Path) -> None:
    from farshore_hub.initialise import _TEMPLATE

    given = {"listen": '"0.0.0.0:8443"', "addresses": '["https://hub.example.org:8443"]'}
    filled = _TEMPLATE.format(**given, url='""', mark="# ", lake='""', endpoint='""')
    shown = "\n".join(line.removeprefix("# ") if _is_a_default(line) else line for line in filled.splitlines())
    assert settings.parse(shown, "template") == settings.parse(LEAST, "hub.toml")


def _is_a_default(line: str) -> bool:
    return line.startswith("# [") or (line.startswith("# ") and " = " in line)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("", "addresses"),
        ("addresses = []", "addresses"),
        (LEAST + "[retention]\npayloads = 5", "retention.payloads"),
        (LEAST + '[retention]\narchive = "perhaps"', "retention.archive"),
        (LEAST + '[certificates]\nsite_life = "1 s"', "certificates.site_life"),
        (LEAST + "[web]\nmax_connections = 0", "web.max_connections"),
        (LEAST + "[webb]\n", "webb"),
    ],
)
def test_a_fault_is_told_with_the_path_of_its_key(text: str, key: str) -> None:
    with pytest.raises(SettingsInvalid, match=key):
        settings.parse(text, "hub.toml")


@pytest.mark.parametrize(
    ("written", "seconds"), [("30 s", 30), ("10min", 600), ("10 m", 600), (" 24h ", 86_400), ("7 d", 604_800)]
)
def test_durations_are_read(written: str, seconds: int) -> None:
    assert parse_duration_s(written) == seconds


@given(st.one_of(st.text(max_size=20), st.integers(), st.none(), st.floats()))
def test_whatever_is_no_duration_is_refused_and_never_crashes(value: object) -> None:
    with contextlib.suppress(ValueError):
        assert parse_duration_s(value) >= 0


def test_the_data_directory_is_here_unless_only_the_systems_place_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    system = tmp_path / "system"
    monkeypatch.setattr(settings.place, "_SYSTEM", system)
    assert settings.default_data_dir() == Path("farshore-hub")
    system.mkdir()
    assert settings.default_data_dir() == system
    (tmp_path / "farshore-hub").mkdir()
    assert settings.default_data_dir() == Path("farshore-hub")
