"""Who may connect to the hub's own broker, as whom, and what they may then do. Pure.

nats-server asks about every connection (auth callout) after it has checked the TLS certificate. The certificate says
who it is; the name of the MQTT client has to be the one that belongs to it: so no site can take another's place.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from farshore_hub.broker.nkeys import Issuer
from farshore_hub.errors import Malformed
from farshore_protocol.topics import HUB_CLIENT, MAX_PACKET_BYTES, READ_BY_SITE, ROOT, WRITTEN_BY_SITE, Topics

ACCOUNT: Final = "SITES"
"""Where sites and the hub meet at the broker."""

MAX_SUBSCRIPTIONS: Final = 8
_VERSION: Final = 2


@dataclass(frozen=True, slots=True)
class Knock:
    """Somebody wants to connect.

    Attributes:
        server: the broker's name for itself.
        user: its name for whoever it will be.
        connection: its number for the connection.
        client_id: what the client calls itself.
        certificate: PEM; TLS has checked that this hub's CA signed it.
    """

    server: str
    user: str
    connection: int
    client_id: str
    certificate: str


@dataclass(frozen=True, slots=True)
class Guest:
    """Who may connect, and what they may do.

    Attributes:
        until_s: when their certificate ends, in seconds since 1970; the broker cuts them off then.
        writes, reads: topics; `+` is any one level, `#` all that follow.
    """

    name: str
    until_s: int
    writes: tuple[str, ...]
    reads: tuple[str, ...]


@dataclass(slots=True)
class Tally:
    """What became of those who wanted to connect, since the start of the hub; `turned_away` is by reason."""

    let_in: int = 0
    cut_off: int = 0
    turned_away: Counter[str] = field(default_factory=Counter)


def read_knock(claims: dict[str, Any]) -> Knock:
    """Who it is that the broker asks about.

    Raises:
        Malformed: it is not such a question.
    """
    try:
        asked = claims["nats"]
        client = asked["client_info"]
        chains = asked.get("client_tls", {}).get("verified_chains") or [[""]]
        return Knock(
            str(asked["server_id"]["id"]),
            str(asked["user_nkey"]),
            int(client["id"]),
            str(client.get("mqtt_id", "")),
            str(chains[0][0]),
        )
    except (KeyError, IndexError, TypeError, ValueError, AttributeError):
        raise Malformed("the broker asks something else than who may connect") from None


def site_guest(topics: Topics, site: str, until_s: int) -> Guest:
    """A site: its own topics only."""
    writes = tuple(topics.of(site, what) for what in WRITTEN_BY_SITE)
    return Guest(site, until_s, writes, tuple(topics.of(site, what) for what in READ_BY_SITE))


def hub_guest(topics: Topics, until_s: int) -> Guest:
    """The hub itself: all sites' topics."""
    writes = tuple(topics.of_all(what) for what in READ_BY_SITE)
    return Guest(HUB_CLIENT, until_s, writes, tuple(topics.of_all(what) for what in WRITTEN_BY_SITE))


def welcome(knock: Knock, guest: Guest, issuer: Issuer, now_s: int) -> bytes:
    """The answer that lets somebody in, with the rights of `guest`."""
    user = {
        "sub": knock.user,
        "name": guest.name,
        "aud": ACCOUNT,
        "exp": guest.until_s,
        "nats": {
            "type": "user",
            "version": _VERSION,
            "pub": {"allow": [_subject(each) for each in guest.writes]},
            "sub": {"allow": [_subject(each) for each in guest.reads]},
            "subs": MAX_SUBSCRIPTIONS,
            "data": -1,
            "payload": MAX_PACKET_BYTES,
            "allowed_connection_types": ["MQTT"],
        },
    }
    return _answer(knock, {"jwt": issuer.sign(user, now_s)}, issuer, now_s)


def turn_away(knock: Knock, why: str, issuer: Issuer, now_s: int) -> bytes:
    """The answer that lets nobody in; the client is told no more than that it may not connect."""
    return _answer(knock, {"error": why}, issuer, now_s)


def _answer(knock: Knock, said: dict[str, Any], issuer: Issuer, now_s: int) -> bytes:
    claims = {
        "sub": knock.user,
        "aud": knock.server,
        "nats": {"type": "authorization_response", "version": _VERSION, **said},
    }
    return issuer.sign(claims, now_s).encode()


def _subject(topic: str) -> str:
    """An MQTT topic as a subject of NATS; no name in ours has a dot."""
    assert topic.startswith(ROOT + "/")  # noqa: S101 - nothing of the broker's own may ever be allowed
    return topic.replace("/", ".").replace("+", "*")
