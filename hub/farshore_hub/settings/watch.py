"""The part of `hub.toml` about what is promised, when somebody is told, and how.

That is `[[expect]]`, `[[objective]]`, `[alerts]`, `[[alert]]`, `[[webhook]]` and `[mqtt]`.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Annotated, Any, Final, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, ValidationInfo, field_validator, model_validator

from farshore_hub.alerts.kinds import FACTS, Kind, Severity, Unit
from farshore_hub.alerts.rules import Change, Rules, changed
from farshore_hub.expect.calendar import ALWAYS, Calendar, parse_calendar, parse_zone
from farshore_hub.expect.expectation import Expectation
from farshore_hub.expect.objective import Basis, Objective
from farshore_hub.expect.patterns import check_pattern
from farshore_hub.expect.rate import Rate, parse_rate
from farshore_hub.expect.selector import Selector
from farshore_hub.fleet.addresses import is_loopback
from farshore_hub.fleet.labels import KEY_PATTERN, VALUE_PATTERN
from farshore_hub.settings.strict import StrictTable
from farshore_hub.texts.durations import Seconds, parse_duration_s

MIN_SECRET_CHARS: Final = 16
MAX_TABLES: Final = 1000
_NAME: Final = r"[a-z0-9][a-z0-9-]{0,62}"
_PERCENT: Final = re.compile(r" *([0-9]{1,3}(?:\.[0-9]{1,6})?) *% *")
_NUMBER: Final = re.compile(r"[0-9]{1,15}(\.[0-9]{1,6})?")


def parse_percent(text: object) -> float:
    """A share such as `99.5 %`, as 99.5.

    Raises:
        ValueError: with the rule in its text.
    """
    found = _PERCENT.fullmatch(text) if isinstance(text, str) else None
    if found is None or float(found[1]) > 100:  # noqa: PLR2004 - that is what per cent means
        raise ValueError(f"{str(text)[:40]!r} is not a share: write it as in '99.5 %'")
    return float(found[1])


Pattern = Annotated[str, AfterValidator(check_pattern)]
Name = Annotated[str, Field(pattern=f"^{_NAME}$")]


_Key = Annotated[str, Field(pattern=f"^{KEY_PATTERN}$")]
_Value = Annotated[str, Field(pattern=f"^{VALUE_PATTERN}$")]


class _OfSites(StrictTable):
    """For sites whose name fits and whose labels have one of the values for each key, as groups of settings say it."""

    sites: Pattern = Field(default="*", description="a pattern of names, as in 'ship-*'")
    labels: dict[_Key, _Value | Annotated[list[_Value], Field(min_length=1)]] = Field(
        default={}, description="labels that sites have, as in { region = 'north' } or { region = ['north', 'west'] }"
    )

    @property
    def selector(self) -> Selector:
        """The labels, a list of values for each."""
        return {key: (of,) if isinstance(of, str) else tuple(of) for key, of in self.labels.items()}


class _WithHours(_OfSites):
    hours: str = Field(default="", description="business hours, as in 'Mon-Fri 06:00-18:00'; empty: always")
    time_zone: str = Field(default="UTC", description="in which these hours are, as in 'Europe/Berlin'")

    @field_validator("hours")
    @classmethod
    def _check_hours(cls, text: str) -> str:
        if text:
            parse_calendar(text, parse_zone("UTC"))
        return text

    @field_validator("time_zone")
    @classmethod
    def _check_zone(cls, name: str) -> str:
        parse_zone(name)
        return name

    def calendar(self) -> Calendar:
        """The hours as a calendar."""
        return parse_calendar(self.hours, parse_zone(self.time_zone)) if self.hours else ALWAYS


class Expect(_WithHours):
    """What streams promise, so that a source that falls silent before the agent shows too."""

    streams: Pattern = Field(description="a pattern of names, as in 'boiler*'")
    rate: str | None = Field(default=None, description="as in '1 per 10 s'")
    every: Seconds | None = Field(default=None, ge=1, description="one record in that time")
    tolerance: str = Field(default="0 %", description="how much of it may be missing without counting as missing")
    silent_after: Seconds | None = Field(
        default=None, ge=60, description="how long it may be silent; empty: by its rate"
    )

    @field_validator("rate")
    @classmethod
    def _check_rate(cls, text: str | None) -> str | None:
        if text is not None:
            parse_rate(text)
        return text

    @field_validator("tolerance")
    @classmethod
    def _check_tolerance(cls, text: str) -> str:
        parse_percent(text)
        return text

    @model_validator(mode="after")
    def _check_one_of_two(self) -> Self:
        if (self.rate is None) == (self.every is None):
            raise ValueError("say either rate, as in '1 per 10 s', or every, as in '10 s'")
        return self

    def expectation(self) -> Expectation:
        """The promise."""
        rate = parse_rate(self.rate) if self.rate is not None else Rate(1, self.every or 1)
        share = parse_percent(self.tolerance) / 100
        calendar = self.calendar()
        return Expectation(self.sites, self.streams, rate, calendar, share, self.silent_after, self.selector)


class ObjectiveTable(_OfSites):
    """Which share of the records of an hour has to be stored, within which time."""

    name: Name
    streams: Pattern = "*"
    target: str = Field(description="as in '99.5 %'")
    within: Seconds = Field(default=86_400, ge=3600, description="after the end of their hour")
    period: Seconds = Field(default=30 * 86_400, ge=86_400, le=400 * 86_400, description="of the error budget")
    of: Basis = Field(default=Basis.PRODUCED, description="of what the agents produced, or of what [[expect]] expects")

    @field_validator("target")
    @classmethod
    def _check_target(cls, text: str) -> str:
        if not 0 < parse_percent(text) < 100:  # noqa: PLR2004 - per cent
            raise ValueError("more than 0 % and less than 100 %: what is never missed leaves no budget")
        return text

    def objective(self) -> Objective:
        """The objective."""
        share = parse_percent(self.target) / 100
        times = (self.within, self.period)
        return Objective(self.name, self.sites, self.streams, share, *times, self.of, self.selector)


class Alerts(StrictTable):
    """How the hub watches."""

    every: Seconds = Field(default=30, ge=1, le=3600, description="how often everything is looked at")
    grace: Seconds = Field(default=600, description="of a hub that runs for less, silence may be its own fault")
    keep: Seconds = Field(default=400 * 86_400, ge=86_400, description="how long alerts are kept that are over")
    give_up: Seconds = Field(default=3 * 86_400, ge=60, description="how long a message is tried")
    runbooks: str = Field(default="docs/runbooks/", max_length=500, description="where the runbooks are")


class AlertTable(_WithHours):
    """Other levels than the default, for some sites or streams; of those that fit the last one says."""

    kind: Kind
    streams: Pattern = "*"
    raise_at: float | None = Field(default=None, description="as in '2 h', '90 %' or 100, by the kind")
    clear_below: float | None = Field(default=None, description="the same; empty: the default's share of raise_at")
    after: Seconds | None = Field(default=None, description="how long it has to be bad")
    clear_after: Seconds | None = Field(default=None, description="how long it has to be good again")
    severity: Severity | None = None
    off: bool = Field(default=False, description="do not look for it")
    quiet: bool = Field(default=False, description="let it stand and tell nobody, within `hours` if they are given")

    @field_validator("raise_at", "clear_below", mode="before")
    @classmethod
    def _read_level(cls, value: object, info: ValidationInfo) -> float | None:
        kind = info.data.get("kind")
        return None if value is None or kind is None else _level(FACTS[kind].unit, value)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.hours and not self.quiet:
            raise ValueError("hours say when it is quiet: add 'quiet = true', or leave them out")
        changed(Rules().of(self.kind), self.change())
        return self

    def change(self) -> Change:
        """What it changes."""
        quiet = self.calendar() if self.quiet else None
        times = (self.after, self.clear_after)
        levels = (self.raise_at, self.clear_below)
        which = (self.kind, self.sites, self.streams)
        return Change(*which, *levels, *times, self.severity, self.off or None, quiet, self.selector)


def _level(unit: Unit, value: object) -> float:
    if unit is Unit.SECONDS:
        return parse_duration_s(value)
    if unit is Unit.PERCENT:
        return parse_percent(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool) and _NUMBER.fullmatch(str(value)):
        return float(value)
    raise ValueError(f"{str(value)[:40]!r} is not a number of {unit}: write it as in 100")


class _Listening(_OfSites):
    kinds: list[Kind] = Field(default_factory=lambda: list(Kind), description="of what it is told")
    ca: Path | None = Field(default=None, description="certificates to trust instead of the system's")


class WebhookTable(_Listening):
    """An address that is told of alerts, with a signature."""

    url: str = Field(max_length=2000)
    secret: SecretStr = Field(description=f"of at least {MIN_SECRET_CHARS} characters, shared with the receiver")
    name: Name | None = Field(default=None, description="how it is called in logs and figures; empty: by its address")
    timeout: Seconds = Field(default=10, ge=1, le=120)

    @field_validator("url")
    @classmethod
    def _check_url(cls, text: str) -> str:
        _check_address(text, secure="https", plain="http")
        return text

    @field_validator("secret")
    @classmethod
    def _check_secret(cls, secret: SecretStr) -> SecretStr:
        if len(secret.get_secret_value()) < MIN_SECRET_CHARS:
            raise ValueError(f"a secret has at least {MIN_SECRET_CHARS} characters: openssl rand -hex 32 makes one")
        return secret

    @property
    def channel(self) -> str:
        """What its messages are kept under; tells nothing of the address, which may be a secret itself."""
        return f"webhook {self.name or hashlib.sha256(self.url.encode()).hexdigest()[:12]}"


class MqttTable(_Listening):
    """A broker that is told of alerts."""

    url: str = Field(max_length=500, description="mqtts://HOST:PORT, or mqtt://HOST:PORT without TLS")
    username: str = ""
    password: SecretStr = SecretStr("")
    topic: str = Field(default="farshore", pattern=r"^[^+#/$][^+#]{0,199}$", description="what topics begin with")
    timeout: Seconds = Field(default=10, ge=1, le=120)

    @property
    def channel(self) -> str:
        """What its messages are kept under."""
        return "mqtt"

    @field_validator("url")
    @classmethod
    def _check_url(cls, text: str) -> str:
        # Within a plant a broker without TLS is common; what it must not see is a password.
        _check_address(text, secure="mqtts", plain="mqtt", plain_anywhere=True)
        return text

    @model_validator(mode="after")
    def _check_password(self) -> Self:
        parts = urlsplit(self.url)
        if self.password.get_secret_value() and parts.scheme == "mqtt" and not is_loopback(parts.hostname or ""):
            raise ValueError("a password would travel in the clear: use mqtts://")
        return self


def _check_address(text: str, *, secure: str, plain: str, plain_anywhere: bool = False) -> None:
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError(f"this is not an address: write it as in {secure}://HOST:PORT") from None
    if parts.scheme not in (secure, plain) or not host or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError(f"this is not an address: write it as in {secure}://HOST:PORT")
    if parts.username is not None or parts.fragment:
        raise ValueError("no user, password or fragment in the address")
    if parts.scheme == plain and not plain_anywhere and not is_loopback(host):
        raise ValueError(f"{plain}:// is for this machine only: use {secure}://")


class WatchTables(StrictTable):
    """All these tables."""

    expect: list[Expect] = Field(default=[], max_length=MAX_TABLES)
    objective: list[ObjectiveTable] = Field(default=[], max_length=100)
    alerts: Alerts = Alerts()
    alert: list[AlertTable] = Field(default=[], max_length=MAX_TABLES)
    webhook: list[WebhookTable] = Field(default=[], max_length=20)
    mqtt: MqttTable | None = None

    @field_validator("objective")
    @classmethod
    def _check_names(cls, found: list[ObjectiveTable]) -> list[ObjectiveTable]:
        _check_unique("name", [each.name for each in found])
        return found

    @field_validator("webhook")
    @classmethod
    def _check_channels(cls, found: list[WebhookTable]) -> list[WebhookTable]:
        _check_unique("name (or url)", [each.channel for each in found])
        return found

    def rules(self, silent_after_s: int) -> Rules:
        """The rules of alerts; a site that is silent for reports is so here too, unless `[[alert]]` says otherwise."""
        silent = Change(Kind.SITE_SILENT, raise_at=silent_after_s)
        return Rules([silent, *(each.change() for each in self.alert)])

    def expectations(self) -> list[Expectation]:
        """What is expected, in the order of the settings; of those that fit the last one says."""
        return [each.expectation() for each in self.expect]

    def objectives(self) -> list[Objective]:
        """The objectives."""
        return [each.objective() for each in self.objective]


def _check_unique(what: str, names: list[Any]) -> None:
    twice = sorted({str(name) for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{what} has to be another for each: {', '.join(twice)} is there twice")
