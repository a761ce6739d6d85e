"""The tables of `hub.toml` about promises and alerts: read, checked whole, and never shown with their secrets."""

from __future__ import annotations

import pytest

from farshore_hub import settings
from farshore_hub.alerts.kinds import Kind, Severity
from farshore_hub.errors import SettingsInvalid

LEAST = 'addresses = ["https://hub.example.org:8443"]\n'
SECRET = "not to be seen by anybody"

EVERYTHING = (
    LEAST
    + f"""
[alerts]
every = "1 min"

[[expect]]
streams = "boiler*"
rate = "1 per 10 s"
hours = "Mon-Fri 06:00-18:00"
time_zone = "Europe/Berlin"
tolerance = "2 %"

[[expect]]
streams = "pump"
sites = "ship-*"
every = "1 h"

[[objective]]
name = "boilers"
streams = "boiler*"
target = "99.5 %"
within = "24 h"
period = "30 d"
of = "expected"
labels = {{ region = ["north", "west"], kind = "ship" }}

[[alert]]
kind = "pending-age"
sites = "ship-*"
raise_at = "7 d"
severity = "critical"

[[alert]]
kind = "hub-disk"
raise_at = "95 %"
clear_below = "90 %"

[[alert]]
kind = "site-silent"
quiet = true
hours = "Sat-Sun 00:00-24:00"
time_zone = "Europe/Berlin"

[[webhook]]
name = "ops"
url = "https://hooks.example.org/T000/{SECRET.replace(" ", "-")}"
secret = "{SECRET}"
kinds = ["gap", "fork"]

[mqtt]
url = "mqtts://broker.example.org"
username = "farshore"
password = "{SECRET}"
"""
)


def test_everything_that_can_be_set_is_read() -> None:
    found = settings.parse(EVERYTHING, "hub.toml")
    rules = found.rules(found.completeness.silent_after)
    assert rules.of(Kind.PENDING_AGE, "ship-1", "x").levels.raise_at == 7 * 86_400
    assert rules.of(Kind.PENDING_AGE, "ship-1", "x").severity is Severity.CRITICAL
    assert rules.of(Kind.PENDING_AGE, "shop", "x").levels.raise_at == 6 * 3600
    assert rules.of(Kind.HUB_DISK).levels.clear_below == 90
    assert rules.of(Kind.SITE_SILENT, "a").levels.raise_at == 900
    assert rules.of(Kind.SITE_SILENT, "a").quiet is not None
    assert [each.expected(498_826) for each in found.expectations()] == [360, 1]
    [objective] = found.objectives()
    assert objective.labels == {"region": ("north", "west"), "kind": ("ship",)}
    assert [objective.covers("a", "boiler", labels) for labels in ({}, {"region": "west", "kind": "ship"})] == [
        False,
        True,
    ]
    [objective] = found.objectives()
    assert objective.target == pytest.approx(0.995)
    assert (objective.within_s, objective.of.value) == (86_400, "expected")
    assert found.webhook[0].channel == "webhook ops"


def test_without_any_of_it_the_defaults_hold() -> None:
    found = settings.parse(LEAST, "hub.toml")
    assert (found.alerts.every, found.webhook, found.mqtt, found.expectations(), found.objectives()) == (
        *(30, [], None, [], []),
    )


def test_all_faults_are_told_at_once_each_with_its_key() -> None:
    text = (
        LEAST
        + """
[[expect]]
streams = "Boiler"
rate = "often"
hours = "always"
time_zone = "Mars"
[[expect]]
streams = "pump"
[[objective]]
name = "x"
target = "100 %"
within = "1 min"
[[alert]]
kind = "gap"
raise_at = "2 h"
[[alert]]
kind = "pending-age"
raise_at = 5
clear_below = "soon"
[[alert]]
kind = "fire"
[[alert]]
kind = "hub-disk"
raise_at = "50 %"
clear_below = "60 %"
[[webhook]]
url = "http://example.org/"
secret = "short"
[mqtt]
url = "mqtt://broker.example.org"
password = "in the clear for everybody"
"""
    )
    with pytest.raises(SettingsInvalid) as caught:
        settings.parse(text, "hub.toml")
    told = str(caught.value)
    for key in (
        *("expect.0.streams", "expect.0.rate", "expect.0.hours", "expect.0.time_zone", "expect.1:"),
        *("objective.0.target", "objective.0.within", "alert.0.raise_at", "alert.1.raise_at", "alert.1.clear_below"),
        *("alert.2.kind", "alert.3:", "webhook.0.url", "webhook.0.secret", "mqtt:"),
    ):
        assert f"  {key}" in told, (key, told)
    assert "in the clear for everybody" not in told
    assert "short" not in told


@pytest.mark.parametrize(
    "url",
    [
        *(
            "",
            "hooks.example.org",
            "ftp://example.org",
            "https://",
            "https://user:word@example.org/",
            "https://e.org/#x",
        ),
        *("https://example.org:99999999/", "https://exa mple.org/", "http://10.0.0.1/", "https://[::1"),
    ],
)
def test_what_is_no_address_of_a_webhook_is_said(url: str) -> None:
    with pytest.raises(SettingsInvalid, match=r"webhook\.0\.url"):
        settings.parse(LEAST + f'[[webhook]]\nurl = "{url}"\nsecret = "{SECRET}"', "hub.toml")


def test_two_webhooks_of_one_name_are_a_fault() -> None:
    one = f'[[webhook]]\nname = "a"\nurl = "https://e.org/"\nsecret = "{SECRET}"\n'
    with pytest.raises(SettingsInvalid, match="is there twice"):
        settings.parse(LEAST + one + one, "hub.toml")


def test_settings_do_not_show_their_secrets() -> None:
    found = settings.parse(EVERYTHING, "hub.toml")
    assert SECRET not in repr(found)
    assert SECRET not in str(found.model_dump())
    assert SECRET.replace(" ", "-") not in found.webhook[0].channel
