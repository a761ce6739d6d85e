"""Who may connect to the hub's own broker, and the words in which it is told."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from farshore_hub.broker import rights
from farshore_hub.broker.nkeys import Issuer, claims_of
from farshore_hub.broker.rights import Knock
from farshore_hub.errors import Malformed
from farshore_protocol.topics import Topics

TOPICS = Topics(bytes.fromhex("0123456789abcdef"))
KNOCK = Knock("NSERVER", "UUSER", 7, "0123456789abcdef-ship-7", "PEM")


def user_in(answer: bytes) -> dict[str, Any]:
    return claims_of(claims_of(answer)["nats"]["jwt"].encode())


def test_a_site_may_write_its_reports_and_read_its_orders_and_nothing_else() -> None:
    user = user_in(rights.welcome(KNOCK, rights.site_guest(TOPICS, "ship-7", 99), Issuer(), 5))
    assert user["nats"]["pub"] == {
        "allow": ["farshore.0123456789abcdef.ship-7.report", "farshore.0123456789abcdef.ship-7.presence"]
    }
    assert user["nats"]["sub"] == {
        "allow": ["farshore.0123456789abcdef.ship-7.settings", "farshore.0123456789abcdef.ship-7.command"]
    }
    assert (user["sub"], user["aud"], user["exp"]) == ("UUSER", "SITES", 99)
    assert user["nats"]["allowed_connection_types"] == ["MQTT"]


def test_the_hub_may_do_the_reverse_for_all_sites() -> None:
    user = user_in(rights.welcome(KNOCK, rights.hub_guest(TOPICS, 99), Issuer(), 5))
    assert user["nats"]["sub"]["allow"] == [f"farshore.0123456789abcdef.*.{what}" for what in ("report", "presence")]
    assert user["nats"]["pub"]["allow"] == [f"farshore.0123456789abcdef.*.{what}" for what in ("settings", "command")]


def test_an_answer_is_for_one_connection_and_signed_by_the_issuer() -> None:
    issuer = Issuer()
    answer = rights.turn_away(KNOCK, "forbidden", issuer, 5)
    said = claims_of(answer)
    assert (said["sub"], said["aud"], said["iss"]) == ("UUSER", "NSERVER", issuer.name)
    assert said["nats"]["error"] == "forbidden"
    head, body, signature = answer.split(b".")
    raw = base64.b32decode(issuer.name + "=" * (-len(issuer.name) % 8))
    public = Ed25519PublicKey.from_public_bytes(raw[1:33])
    public.verify(base64.urlsafe_b64decode(signature + b"=="), head + b"." + body)


def question(**changed: object) -> dict[str, Any]:
    asked: dict[str, Any] = {
        "server_id": {"id": "NSERVER"},
        "user_nkey": "UUSER",
        "client_info": {"id": 7, "mqtt_id": "0123456789abcdef-ship-7"},
        "client_tls": {"verified_chains": [["PEM", "CA"]]},
    }
    return {"nats": asked | changed}


def test_the_brokers_question_is_read() -> None:
    assert rights.read_knock(question()) == KNOCK
    assert rights.read_knock(question(client_tls={})).certificate == ""


NO_QUESTIONS: list[dict[str, Any]] = [{"client_info": {}}, {"client_tls": {"verified_chains": [[]]}}, {"client_tls": 1}]


@pytest.mark.parametrize("claims", [{}, {"nats": 1}, *(question(**each) for each in NO_QUESTIONS)])
def test_anything_else_is_no_question(claims: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        rights.read_knock(claims)


@pytest.mark.parametrize("token", [b"", b"a.b", b"a.b.c.d", b"a.%%%.c", b"a.WzFd.c"])
def test_what_is_no_token_is_refused(token: bytes) -> None:
    with pytest.raises(Malformed):
        claims_of(token)


def test_claims_are_read_as_they_were_signed() -> None:
    token = Issuer().sign({"nats": {"a": "ü"}}, 5)
    assert claims_of(token.encode())["nats"] == json.loads('{"a": "ü"}')
