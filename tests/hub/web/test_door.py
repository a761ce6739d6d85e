"""Parcels go past the framework and are answered as if they did not."""

from __future__ import annotations

import logging

import pytest

from farshore_hub.receive.receiver import Receiver
from farshore_protocol.parcel import PARCEL_TYPE
from tests.hub.web.parcels import Sender
from tests.hub.web.running import JSON, RunningHub


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_another_method_is_not_allowed(hub: RunningHub, method: str) -> None:
    reply = hub.ask(method, "/v1/parcels")
    assert (reply.status, reply.problem, reply.headers["allow"]) == (405, "method-not-allowed", "POST")


def test_a_stranger_is_told_so_and_cut_off_and_the_log_says_what_was_asked(
    hub: RunningHub, caplog: pytest.LogCaptureFixture
) -> None:
    reply = hub.ask("POST", "/v1/parcels", b"x", kind=PARCEL_TYPE)
    assert (reply.status, reply.problem, reply.headers["connection"]) == (401, "unauthenticated", "close")
    assert "refused POST /v1/parcels from 127.0.0.1: unauthenticated" in caplog.text


def test_what_is_not_a_parcel_is_refused_with_the_usual_headers(hub: RunningHub) -> None:
    member = hub.join("odd")
    replies = [hub.ask("POST", "/v1/parcels", b"{}", kind=kind, context=member.context) for kind in (JSON, PARCEL_TYPE)]
    assert [reply.problem for reply in replies] == ["wrong-media-type", "malformed"]
    assert {reply.headers["cache-control"] for reply in replies} == {"no-store"}


def test_a_fault_of_the_hub_is_a_problem_and_stands_in_the_log(
    hub: RunningHub, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fall_over(*_: object) -> bytes:
        raise ZeroDivisionError("nobody expected this")

    member = hub.join("unlucky")
    parcel = Sender(member.keys, member.membership).parcel([{"a": 1}])
    monkeypatch.setattr(Receiver, "receive", fall_over)
    with caplog.at_level(logging.ERROR):
        reply = hub.ask("POST", "/v1/parcels", parcel, kind=PARCEL_TYPE, context=member.context)
    assert (reply.status, reply.problem) == (500, "internal")
    assert "ZeroDivisionError: nobody expected this" in caplog.text
