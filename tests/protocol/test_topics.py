"""Topics: what stands for what, and what is nobody's."""

from __future__ import annotations

import pytest

from farshore_protocol.topics import HUB_CLIENT, Topics, What, split_broker

TOPICS = Topics(bytes.fromhex("0123456789abcdef"))


@pytest.mark.parametrize("what", What)
def test_a_topic_is_read_as_it_was_made(what: What) -> None:
    topic = TOPICS.of("ship-7", what)
    assert topic == f"farshore/0123456789abcdef/ship-7/{what}"
    assert TOPICS.read(topic) == ("ship-7", what)


@pytest.mark.parametrize(
    "topic",
    [
        "farshore/0123456789abcdee/ship-7/report",
        "elsewhere/0123456789abcdef/ship-7/report",
        "farshore/0123456789abcdef/Ship/report",
        "farshore/0123456789abcdef/+/report",
        "farshore/0123456789abcdef/ship-7/report/more",
        "farshore/0123456789abcdef/ship-7",
        "farshore/0123456789abcdef/ship-7/alerts",
        "farshore",
        "",
    ],
)
def test_what_is_no_topic_of_this_hub_is_nobodys(topic: str) -> None:
    assert TOPICS.read(topic) is None


def test_no_site_can_have_the_name_of_the_hub_or_of_another_hubs_site() -> None:
    assert TOPICS.read(TOPICS.of(HUB_CLIENT, What.REPORT)) is None
    assert TOPICS.client_id("ship-7") != Topics(bytes(8)).client_id("ship-7")


def test_where_a_broker_is_is_read() -> None:
    assert split_broker("hub.example.org:8883") == ("hub.example.org", 8883)
    assert split_broker("[2001:db8::1]:1883") == ("2001:db8::1", 1883)


@pytest.mark.parametrize(
    "text", ["", "hub", "hub:", "hub:0", "hub:65536", "a b:1", "a/b:1", "2001:db8::1:1883", "x" * 300 + ":1"]
)
def test_what_is_no_place_of_a_broker_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="HOST:PORT"):
        split_broker(text)
