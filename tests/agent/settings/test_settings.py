"""The settings file: what it may say, and that all that is wrong with it is told at once, with a remedy."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from farshore_agent.errors import ExitCode, SettingsError, StreamNotFound
from farshore_agent.settings import (
    AgentSettings,
    BufferSettings,
    DictionaryUse,
    EffortChoice,
    ForwardSettings,
    SealSettings,
    StreamPolicies,
    StreamPolicy,
    StreamSettings,
    WhenFull,
    load,
    parse,
)
from farshore_agent.settings.inputs import InputType, installed, settings_table

WHOLE = """
state_dir = "state"
site_labels = { place = "pump house" }
accept_undeclared = false

[stream_defaults]
time_field = "ts"
when_full = "evict"
max_age = "30 d"

[streams.boiler]
priority = 8
when_full = "thin"
order = "newest"
effort = "small"

[streams.log]
time_field = false

[buffer]
max_bytes = "256 MiB"
retain_acknowledged = "12 h"

[seal]
linger = "500 ms"
dictionary = "off"

[forward]
hub = ["hub.example.org:8443", "[2001:db8::1]:8443"]
backoff_max = "10 min"

[inputs.api]
type = "http"
listen = "127.0.0.1:8080"

[inputs.drop]
type = "folder"
path = "drop"
stream = "boiler"

[inputs.log]
type = "tail"
path = "/var/log/app.log"
stream = "log"
"""

BAD_NAME = "'Bo/iler' is not a stream name: use 1 to 63 of a-z, 0-9, '-' and '_', starting with a letter or digit"


def problems(text: str, kinds: Mapping[str, InputType] | None = None) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        parse(text, kinds=kinds)
    assert caught.value.exit_code == ExitCode.CONFIGURATION
    return [str(problem) for problem in caught.value.problems]


def test_an_empty_file_is_a_valid_one() -> None:
    assert parse("") == AgentSettings()


def test_a_whole_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "agent.toml"
    path.write_text(WHOLE)
    settings = load(path)
    assert settings.state_dir == tmp_path / "state"
    assert settings.buffer == BufferSettings(max_bytes=256 * 1024**2, retain_acknowledged_s=43_200)
    assert settings.seal == SealSettings(linger_s=0.5, dictionary=DictionaryUse.OFF)
    assert settings.forward == ForwardSettings(hub=("hub.example.org:8443", "[2001:db8::1]:8443"), backoff_max_s=600)
    assert [type(one).__name__ for one in settings.inputs.values()] == [
        "HttpSettings",
        "FolderSettings",
        "TailSettings",
    ]


def test_a_stream_takes_from_the_defaults_what_it_does_not_say_itself(tmp_path: Path) -> None:
    policies = parse(WHOLE).policies()
    assert policies.of("boiler") == StreamPolicy(
        name="boiler",
        time_field="ts",
        priority=8,
        when_full=WhenFull.THIN,
        max_age_us=30 * 86_400_000_000,
        newest_first=True,
        effort=EffortChoice.SMALL,
    )
    assert policies.of("log").time_field is None
    assert policies.of("log").when_full is WhenFull.EVICT


def test_all_problems_are_told_at_once_with_their_key_and_a_remedy() -> None:
    assert problems(
        """
        state_dirr = "x"
        site_labels = { a = 5 }
        [streams.boiler]
        when_full = "evit"
        priority = 12
        max_age = "3 weeks"
        [streams."Bo/iler"]
        [stream_defaults]
        time_field = true
        [buffer]
        max_bytes = "10 B"
        [forward]
        hub = ["hub"]
        backoff_mn = "1 s"
        timeout = 0.5
        [seal]
        linger = true
        max_records = "5"
        [inputs.api]
        type = "http"
        listn = "127.0.0.1:80"
        """
    ) == [
        "inputs.api.listen: is missing",
        "inputs.api.listn: is not a known key (did you mean 'listen'?)",
        "site_labels.a: 5 is not text",
        "stream_defaults.time_field: True is not a field's name, nor false (which takes the time of arrival)",
        "streams.boiler.priority: 12 is not between 0 and 9",
        "streams.boiler.when_full: 'evit' is not one of refuse, evict, thin (did you mean 'evict'?)",
        "streams.boiler.max_age: '3 weeks' is not a number with one of ms, s, min, h, d, such as '30 s'",
        f"streams.Bo/iler: {BAD_NAME}",
        "buffer.max_bytes: '10 B' is not between 8 MiB and 16 TiB",
        "seal.max_records: '5' is not a whole number",
        "seal.linger: True is not a number with one of ms, s, min, h, d, such as '30 s'",
        "forward.timeout: 0.5 is not between 1 s and 1 h",
        "forward.hub.0: 'hub' is not an address such as 'hub.example.org:8443'",
        "forward.backoff_mn: is not a known key (did you mean 'backoff_min'?)",
        "state_dirr: is not a known key (did you mean 'state_dir'?)",
    ]


def test_the_error_text_names_the_file_and_every_problem() -> None:
    with pytest.raises(SettingsError) as caught:
        parse("a = 1\nb = 2", source="agent.toml")
    assert str(caught.value).splitlines()[0] == "agent.toml: 2 problem(s)"
    assert len(str(caught.value).splitlines()) == 3


def test_a_key_like_no_other_is_told_which_there_are() -> None:
    assert problems("[seal]\nxyz = 1") == [
        "seal.xyz: is not a known key (known are max_records, max_bytes, linger, linger_offline, dictionary)"
    ]


def test_the_names_that_code_uses_are_not_keys_of_the_file() -> None:
    assert problems("[seal]\nlinger_s = 5") == ["seal.linger_s: is not a known key (did you mean 'linger'?)"]


@pytest.mark.parametrize(
    "table", ["streams = 5", "buffer = 'big'", "[streams]\nboiler = 5", "inputs = 5", "[inputs]\na = 5"]
)
def test_what_is_no_table_is_named(table: str) -> None:
    [problem] = problems(table)
    assert "is not a table" in problem or "is missing (one of folder, http, tail)" in problem


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a = \n", "is not TOML: Invalid value (at line 1, column 5)"),
        ("[buffer]\nmax_bytes = 1\nmax_bytes = 2\n", "is not TOML: Cannot overwrite a value (at line 3, column 14)"),
    ],
)
def test_a_syntax_error_says_where(text: str, why: str) -> None:
    assert problems(text) == [why]


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read: No such file or directory"):
        load(tmp_path / "agent.toml")
    (tmp_path / "agent.toml").write_bytes(b"a = '\xff'")
    with pytest.raises(SettingsError, match="is not UTF-8 at byte 5"):
        load(tmp_path / "agent.toml")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "[seal]\nmax_bytes = '4 MiB'\n[buffer]\nmax_bytes = '8 MiB'",
            "seal.max_bytes: is more than a quarter of buffer",
        ),
        ("[buffer]\nmax_bytes = '8 MiB'\nmax_commit_bytes = '5 MiB'", "buffer.max_commit_bytes: is more than half"),
        ("[forward]\nmax_parcel_bytes = '64 KiB'", "seal.max_bytes: is more than forward.max_parcel_bytes"),
        ("[seal]\nlinger = '1 h'", "seal.linger: is longer than seal.linger_offline"),
        ("[forward]\nbackoff_min = '1 h'", "forward.backoff_min: is longer than forward.backoff_max"),
        (
            "max_streams = 2730\n" + "".join(f"[streams.s{number}]\n" for number in range(5)),
            "max_streams: with the declared streams this is more than a manifest can name (lower it)",
        ),
        (
            "[inputs.a]\ntype='http'\nlisten='127.0.0.1:80'\n[inputs.b]\ntype='http'\nlisten='127.0.0.1:80'",
            "inputs.b: uses the address 127.0.0.1:80, which inputs.a uses too (give each its own)",
        ),
        (
            "[inputs.a]\ntype='tail'\npath='/x'\nstream='s'\n[inputs.b]\ntype='tail'\npath='/x'\nstream='t'",
            "inputs.b: uses the file /x, which inputs.a uses too",
        ),
        (
            "accept_undeclared = false\n[inputs.a]\ntype='tail'\npath='/x'\nstream='s'",
            "inputs.a.stream: 's' is not declared (add [streams.s], or set accept_undeclared = true)",
        ),
    ],
)
def test_what_does_not_go_together_is_told(text: str, problem: str) -> None:
    [told] = problems(text)
    assert told.startswith(problem)


def test_an_unknown_input_type_is_told_the_known_ones() -> None:
    assert problems("[inputs.a]\ntype = 'htpp'") == [
        "inputs.a.type: 'htpp' is not one of folder, http, tail (did you mean 'http'?)"
    ]
    assert problems("[inputs.a]") == ["inputs.a.type: is missing (one of folder, http, tail)"]


@pytest.mark.parametrize(
    ("plugin", "why"),
    [
        ("farshore_agent.nowhere:Input", "cannot be loaded: No module named 'farshore_agent.nowhere'"),
        ("farshore_agent.errors:Nothing", "cannot be loaded: module 'farshore_agent.errors' has no attribute"),
        ("farshore_agent.errors:AgentError", "has no class attribute Settings"),
    ],
)
def test_a_broken_plugin_is_a_problem_of_its_table_only(plugin: str, why: str) -> None:
    kinds = {**installed(), "broken": EntryPoint("broken", plugin, "farshore.inputs")}
    told = problems("[inputs.a]\ntype = 'broken'\n[inputs.b]\ntype = 'http'", kinds)
    assert why in told[0]
    assert told[1:] == ["inputs.b.listen: is missing"]


@pytest.mark.parametrize(
    "listen",
    ["0.0.0.0:80", "192.168.1.5:80", "example.org:80", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:65536", "unix:x"],
)
def test_a_door_listens_on_this_machine_only(listen: str) -> None:
    [problem] = problems(f"[inputs.a]\ntype = 'http'\nlisten = '{listen}'")
    assert "127.0.0.1" in problem


@pytest.mark.parametrize("listen", ["127.0.0.1:80", "localhost:0", "[::1]:80", "unix:/run/x.sock"])
def test_a_door_takes_any_address_of_this_machine(listen: str) -> None:
    parse(f"[inputs.a]\ntype = 'http'\nlisten = '{listen}'")


@pytest.mark.parametrize(
    ("text", "size"), [("'1 GiB'", 2**30), ("'1.5GB'", 1_500_000_000), ("'16 MiB'", 2**24), ("16777216", 2**24)]
)
def test_sizes_have_units_and_a_bare_number_is_bytes(text: str, size: int) -> None:
    assert parse(f"[buffer]\nmax_bytes = {text}").buffer.max_bytes == size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("'250 ms'", 0.25), ("'90 s'", 90), ("'1.5 min'", 90), ("'2 h'", 7200), ("'1 d'", 86_400), ("7", 7)],
)
def test_durations_have_units_and_a_bare_number_is_seconds(text: str, seconds: float) -> None:
    assert parse(f"[seal]\nlinger_offline = '7 d'\nlinger = {text}").seal.linger_s == seconds


@pytest.mark.parametrize(
    "text", ["'1 week'", "'1 min 5 s'", "'-1 s'", "''", "'s'", "'1e3 s'", "nan", "inf", "-1", "[1]"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    assert problems(f"[seal]\nlinger = {text}")[0].startswith("seal.linger: ")


def test_companions_inherit_and_summaries_go_first() -> None:
    policies = StreamPolicies(
        StreamSettings(), {"a": StreamSettings(priority=9), "b": StreamSettings(priority=3, time_field="t")}
    )
    assert policies.of("b.quarantine").priority == 3
    assert (policies.of("b.hourly").priority, policies.of("a.hourly").priority) == (4, 9)
    assert policies.of("b.hourly").when_full is WhenFull.EVICT
    assert (policies.of("b.hourly").time_field, policies.of("b.quarantine").time_field) == ("ts", "at")


def test_a_stream_that_is_no_longer_declared_still_has_a_policy_but_takes_nothing_new() -> None:
    policies = parse("accept_undeclared = false\n[streams.a]").policies()
    assert policies.of("former").name == "former"
    assert policies.admitting("a").name == "a"
    with pytest.raises(StreamNotFound, match="'former' is not declared") as caught:
        policies.admitting("former")
    assert caught.value.remedy == "add [streams.former] to the settings"


def test_what_a_thinned_stream_refused_is_evicted_because_a_companion_has_no_companion() -> None:
    thinned = StreamSettings(when_full=WhenFull.THIN)
    refusing = StreamSettings(when_full=WhenFull.REFUSE)
    policies = StreamPolicies(None, {"thinned": thinned, "refusing": refusing})
    assert policies.of("thinned.quarantine").when_full is WhenFull.EVICT
    assert policies.of("refusing.quarantine").when_full is WhenFull.REFUSE


def test_the_inputs_that_come_with_the_agent_are_found_without_a_search_for_plugins() -> None:
    kinds = installed()
    assert [settings_table(kinds[name]).__name__ for name in ("folder", "http", "tail")] == [
        "FolderSettings",
        "HttpSettings",
        "TailSettings",
    ]
    assert {"folder", "http", "tail"} <= set(kinds)
