"""The settings files of agent and hub, and what they are made of."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator

from farshore_agent.errors import SettingsError
from farshore_agent.settings.load import parse as parse_agent_settings
from farshore_hub import settings
from farshore_hub.errors import SettingsInvalid
from farshore_hub.fleet import addresses
from farshore_hub.texts import durations
from tests.fuzz.target import target

AGENT = b"""state_dir = "state"
max_streams = 10
[stream_defaults]
time_field = "ts"
[streams.boiler]
priority = 7
when_full = "thin"
max_age = "7 d"
[buffer]
max_bytes = "64 MiB"
[seal]
linger = 0.5
[forward]
hub = ["hub.example:8443"]
[inputs.door]
type = "http"
listen = "127.0.0.1:8080"
[inputs.log]
type = "tail"
path = "/var/log/app.log"
stream = "app"
"""
HUB = b"""listen = "127.0.0.1:8443"
addresses = ["https://hub.example:8443"]
[database]
url = "postgresql://u:p@localhost/farshore"
[lake]
path = "lake"
[retention]
payloads = "30 d"
[web]
max_connections = 100
"""


@target(seeds=lambda: [AGENT, b"x = 0x" + b"f" * 50, b"inputs = 1\nseal = [[[]]]"])
def agent_settings(data: bytes) -> None:
    """Settings are valid, or every problem is named; nothing else is raised."""
    try:
        read = parse_agent_settings(data.decode(errors="replace"))
    except SettingsError as error:
        assert error.problems
        str(error).encode(errors="surrogateescape")
        return
    read.policies()


@target(seeds=lambda: [HUB, b"addresses = 1\n[web]\nmax_connections = 0x" + b"f" * 50])
def hub_settings(data: bytes) -> None:
    """The same for the hub."""
    try:
        read = settings.parse(data.decode(errors="replace"), "hub.toml")
    except SettingsInvalid as error:
        assert str(error)
        return
    assert tomllib.loads(data.decode(errors="replace"))
    addresses.names_of(list(read.addresses))


def _words() -> Iterator[bytes]:
    yield from (b"24 h", b"10min", b"https://hub.example:8443", b"https://[::1]:1", b"0.0.0.0:8443", b"[::]:1")


@target(seeds=_words, max_bytes=400)
def hub_words(data: bytes) -> None:
    """Durations, addresses and listen addresses: a value, or a ValueError with the rule."""
    text = data.decode(errors="surrogateescape")
    for parse in (durations.parse_duration_s, addresses.check_address, addresses.split_listen):
        try:
            found = parse(text)
        except ValueError as error:
            assert str(error)
            continue
        assert found is not None
        if parse is addresses.check_address:
            assert addresses.check_address(str(found)) == found
            addresses.names_of([str(found)])
