"""`[broker]` of hub.toml: which broker there is, how the hub reaches it and what sites are told."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from farshore_hub.settings.broker import Broker

HUB = "https://hub.example.org:8443"


def test_without_a_broker_sites_are_told_of_none() -> None:
    assert not Broker().wanted
    assert not Broker().told(HUB)


def test_the_hubs_own_broker_is_where_the_hub_is() -> None:
    own = Broker(embedded=True)
    assert own.told(HUB) == "hub.example.org:8883"
    assert own.endpoint() == ("127.0.0.1", 8883)
    assert Broker(embedded=True, listen="[::]:1").endpoint() == ("::1", 1)
    assert Broker(embedded=True, listen="10.0.0.7:1").endpoint() == ("10.0.0.7", 1)


def test_sites_may_reach_it_under_another_address() -> None:
    assert Broker(embedded=True, address="[2001:db8::1]:9").told(HUB) == "[2001:db8::1]:9"


def test_another_broker_is_where_its_url_says() -> None:
    other = Broker(url="mqtts://broker.example.org:8884")
    assert other.endpoint() == ("broker.example.org", 8884)
    assert other.told(HUB) == "broker.example.org:8884"


@pytest.mark.parametrize(
    ("table", "why"),
    [
        ({"url": "mqtt://broker:1883"}, "over TLS only"),
        ({"url": "mqtts://broker"}, "HOST:PORT"),
        ({"url": "mqtts://a:1", "embedded": True}, "one broker is enough"),
        ({"address": "hub"}, "HOST:PORT"),
        ({"listen": "hub"}, "HOST:PORT"),
        ({"embeded": True}, "embeded"),
    ],
)
def test_what_makes_no_sense_is_said(table: dict[str, object], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        Broker.model_validate(table)
