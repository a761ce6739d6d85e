"""Puts the watch together: what is looked at, by which rules, and the channels that are told. For `app` and `cli`."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from farshore_hub.errors import SettingsInvalid
from farshore_hub.lake.files.opening import lake_of
from farshore_hub.notify.channel import Channel
from farshore_hub.notify.mqtt import Broker, Mqtt
from farshore_hub.notify.webhook import Webhook
from farshore_hub.opening import OpenedHub
from farshore_hub.settings.watch import MqttTable, WebhookTable
from farshore_hub.watch.book import Book
from farshore_hub.watch.desk import Desk
from farshore_hub.watch.outbox import Audience, Outbox
from farshore_hub.watch.promises import Promises
from farshore_hub.watch.seeing import Eyes
from farshore_hub.watch.watcher import Watcher, WatchSettings
from farshore_protocol.ports import Runner

MQTT_PORT: Final = 1883
MQTT_TLS_PORT: Final = 8883


def desk_of(hub: OpenedHub) -> Desk:
    """Where people look after this hub's alerts."""
    return Desk(hub.engine, hub.fleet.clock, _outbox(hub))


def promises_of(hub: OpenedHub) -> Promises:
    """What this hub's streams and objectives promise."""
    settings = hub.place.settings
    return Promises(hub.engine, settings.expectations(), settings.objectives(), settings.completeness.silent_after)


def channels_of(hub: OpenedHub, runner: Runner) -> list[Channel]:
    """Who is told of this hub's alerts; `runner` is for talking to the broker.

    Raises:
        SettingsInvalid: certificates that are to be trusted cannot be read.
    """
    settings = hub.place.settings
    channels: list[Channel] = [_webhook(hub, each) for each in settings.webhook]
    return [*channels, _mqtt(hub, settings.mqtt, runner)] if settings.mqtt else channels


def watcher_of(hub: OpenedHub, lake_fault: Callable[[], str], runner: Runner) -> Watcher:
    """This hub's watcher."""
    settings, place = hub.place.settings, hub.place
    rules = settings.rules(settings.completeness.silent_after)
    lake = lake_of(place).folder
    folders = {"data": place.data_dir} | ({"lake": lake} if lake else {})
    eyes = Eyes(hub.engine, rules, folders, lake_fault, promises_of(hub))
    book = Book(rules, _outbox(hub))
    times = settings.alerts
    watch = WatchSettings(times.every, times.grace, times.keep, times.give_up)
    return Watcher(hub.engine, eyes, book, hub.fleet.clock, runner, watch)


def _outbox(hub: OpenedHub) -> Outbox:
    settings = hub.place.settings
    tables: list[WebhookTable | MqttTable] = [*settings.webhook, *([settings.mqtt] if settings.mqtt else [])]
    audiences = [Audience(each.channel, frozenset(each.kinds), each.sites, each.selector) for each in tables]
    return Outbox(hub.keys.hub.hex(), audiences, hub.fleet.random.token, settings.alerts.runbooks)


def _webhook(hub: OpenedHub, table: WebhookTable) -> Webhook:
    tls = _tls(hub, table.ca) if urlsplit(table.url).scheme == "https" else None
    secret = table.secret.get_secret_value()
    return Webhook(table.channel, table.url, secret, table.timeout, tls, hub.fleet.clock)


def _mqtt(hub: OpenedHub, table: MqttTable, runner: Runner) -> Mqtt:
    parts = urlsplit(table.url)
    secure = parts.scheme == "mqtts"
    port = parts.port or (MQTT_TLS_PORT if secure else MQTT_PORT)
    tls = _tls(hub, table.ca) if secure else None
    password = table.password.get_secret_value()
    broker = Broker(parts.hostname or "", port, tls, table.username, password, table.timeout)
    return Mqtt(broker, table.topic, runner, table.channel)


def _tls(hub: OpenedHub, ca: Path | None) -> ssl.SSLContext:
    """Trusts the system's certificates, or only those in a file; relative to the data directory."""
    if ca is None:
        return ssl.create_default_context()
    path = hub.place.data_dir / ca
    try:
        return ssl.create_default_context(cafile=path)
    except OSError as error:
        raise SettingsInvalid(f"the certificates in {path} cannot be read: {error.strerror or error}") from None
