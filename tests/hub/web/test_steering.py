"""The fleet steered over the API and at the page: labels, secrets, configuration, rollouts and commands."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from farshore_hub.fleet.api_tokens import Role
from farshore_protocol.orders import Order
from tests.contracts.enlisted import Enlisted
from tests.hub.web.running import JSON, TIMEOUT_S, Reply, RunningHub

FILES = {
    "fleet.toml": '[seal]\nlinger = "2 s"\n',
    "groups/north.toml": '[layer]\nlabels = { region = "north" }\n[forward]\ntoken = "${secret.KEY}"\n',
}


def post(hub: RunningHub, path: str, role: Role = Role.OPERATOR, **body: Any) -> Reply:  # noqa: ANN401
    return hub.ask("POST", path, json.dumps(body).encode(), kind=JSON, role=role)


def get(hub: RunningHub, path: str) -> Any:  # noqa: ANN401
    reply = hub.ask("GET", path, role=Role.VIEWER)
    assert reply.status == 200, reply
    return reply.json


def eventually(found: Callable[[], Any]) -> Any:  # noqa: ANN401
    until_s = time.monotonic() + TIMEOUT_S
    while not (what := found()):
        assert time.monotonic() < until_s
        time.sleep(0.05)
    return what


@pytest.fixture(scope="module")
def ship(hub: RunningHub) -> Enlisted:
    return Enlisted(hub.hub, "ship-1")


def test_a_fleet_is_steered_from_labels_to_the_answer_of_a_command(hub: RunningHub, ship: Enlisted) -> None:
    assert post(hub, "/v1/sites/ship-1/labels", set={"region": "north", "old": "x"}).status == 200
    assert post(hub, "/v1/sites/ship-1/labels", unset=["old"]).json == {"region": "north"}
    assert get(hub, "/v1/sites/ship-1/labels") == {"region": "north"}
    assert post(hub, "/v1/secrets", name="KEY", value="hush-hush").json == {"name": "KEY", "version": 1}
    preview = post(hub, "/v1/config/preview", files=FILES).json
    assert [each["site"] for each in preview["changes"]] == ["ship-1"]
    assert preview["problems"] == []
    applied = post(hub, "/v1/config", files=FILES, soak="0 s", note="first")
    assert (applied.status, applied.json["sites"]) == (201, 1)
    [order] = eventually(ship.orders)
    assert order.desired is not None
    assert 'token = "hush-hush"' in order.desired.settings
    ship.keep(order)
    number = applied.json["rollout"]
    eventually(lambda: get(hub, f"/v1/rollouts/{number}")["rollout"]["state"] == "done")
    [seen] = get(hub, "/v1/steering")["sites"]
    assert (seen["agreement"], seen["desired"], seen["running"]) == ("current", order.number, order.number)
    shown = get(hub, "/v1/sites/ship-1/config")
    assert "${secret.KEY}" in shown["settings"]
    assert shown["origins"]["forward.token"] == "groups/north.toml"
    assert "hush" not in json.dumps([shown, preview, get(hub, "/v1/secrets"), get(hub, "/v1/steering/deeds")])
    _command(hub, ship)
    assert get(hub, "/v1/config/revisions/1") == FILES
    assert post(hub, "/v1/config/revisions/1/apply").json["sites"] == 0
    assert [each["note"] for each in get(hub, "/v1/config/revisions")] == ["back to revision 1", "first"]


def _command(hub: RunningHub, ship: Enlisted) -> None:
    made = post(hub, "/v1/commands", labels={"region": "north"}, command="support-bundle")
    assert made.status == 201, made
    [command] = made.json
    assert command["made_by"] == "operator"
    ship.answer(_of_kind(ship.orders()), "1 file", b"PK")
    answered = get(hub, f"/v1/commands/{command['id']}")
    assert (answered["outcome"], answered["text"]) == ("done", "1 file")
    assert hub.ask("GET", f"/v1/commands/{command['id']}/data", role=Role.OPERATOR).body == b"PK"
    assert [each["id"] for each in get(hub, "/v1/commands?site=ship-1")] == [command["id"]]


def _of_kind(orders: list[Order]) -> Order:
    [order] = [each for each in orders if each.command is not None]
    return order


def test_what_makes_no_sense_is_refused_with_the_reason(hub: RunningHub, ship: Enlisted) -> None:
    wrong = post(hub, "/v1/config", files={"fleet.toml": "[seal]\nlinger = 3\nspeed = 1\n"})
    assert (wrong.status, wrong.problem) == (422, "invalid")
    assert "fleet.toml: seal.speed" in wrong.json["detail"]
    assert post(hub, "/v1/config", files={}, then=["50%", "20 sites"]).status == 422
    assert post(hub, "/v1/config", files={}, halt_failed=0).status == 422
    assert post(hub, "/v1/commands", sites=["ship-1"], command="reboot").status == 422
    assert post(hub, "/v1/commands", labels={"region": "nowhere"}, command="flush").status == 422
    assert post(hub, "/v1/sites/ship-1/labels", set={"No": "x"}).status == 422
    assert post(hub, "/v1/secrets/NOTHING/delete").status == 404
    assert post(hub, "/v1/rollouts/77/pause").status == 404
