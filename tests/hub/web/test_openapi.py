"""The OpenAPI description tells the truth: every route, its body, its answers, and who may ask."""

from __future__ import annotations

from typing import Any

import pytest

from farshore_hub.fleet.api_tokens import Role
from farshore_hub.web.problems import PROBLEM_TYPE
from tests.hub.web.running import JSON, RunningHub

PUBLIC = {"/v1/ca", "/v1/keyrings", "/v1/enrol", "/healthz", "/readyz"}
WITH_BODY = {
    *("/v1/parcels", "/v1/enrol", "/v1/renew", "/v1/sites", "/v1/sites/{name}/token", "/v1/query"),
    *("/v1/alerts/{number}/acknowledge", "/v1/silences", "/v1/maintenance"),
    *("/v1/tables/{name}/rows", "/v1/tables/{name}/rows/delete", "/v1/tables/{name}/mappings"),
    *("/v1/tables/{name}/define", "/v1/tables/{name}/load"),
    *("/v1/conflicts/{number}/resolve", "/v1/conflicts/{number}/undo"),
    *("/v1/config", "/v1/config/preview", "/v1/config/revisions/{number}/apply", "/v1/commands", "/v1/secrets"),
    *(f"/v1/rollouts/{{number}}/{deed}" for deed in ("pause", "resume", "advance", "abort")),
    "/v1/sites/{name}/labels",
    "/v1/followed",
}


@pytest.fixture(scope="module")
def described(hub: RunningHub) -> Any:  # noqa: ANN401
    return hub.ask("GET", "/openapi.json").json


def operations(described: Any) -> list[tuple[str, str, Any]]:  # noqa: ANN401
    return [(method, path, one) for path, methods in described["paths"].items() for method, one in methods.items()]


def test_every_route_is_described_once_with_a_summary(described: Any) -> None:  # noqa: ANN401
    assert sorted((method, path) for method, path, _ in operations(described)) == [
        ("get", "/healthz"),
        ("get", "/metrics"),
        ("get", "/readyz"),
        ("get", "/v1/alerts"),
        ("get", "/v1/alerts/{number}"),
        ("get", "/v1/audit"),
        ("get", "/v1/ca"),
        ("get", "/v1/commands"),
        ("get", "/v1/commands/{number}"),
        ("get", "/v1/commands/{number}/data"),
        ("get", "/v1/completeness"),
        ("get", "/v1/completeness/fleet"),
        ("get", "/v1/completeness/hours"),
        ("get", "/v1/config/revisions"),
        ("get", "/v1/config/revisions/{number}"),
        ("get", "/v1/conflicts"),
        ("get", "/v1/conflicts/{number}"),
        ("get", "/v1/expectations"),
        ("get", "/v1/fleet"),
        ("get", "/v1/forks"),
        ("get", "/v1/forks/{fork}"),
        ("get", "/v1/forks/{fork}/records"),
        ("get", "/v1/keyrings"),
        ("get", "/v1/losses"),
        ("get", "/v1/maintenance"),
        ("get", "/v1/misfits"),
        ("get", "/v1/misfits/{number}"),
        ("get", "/v1/objectives"),
        ("get", "/v1/rollouts"),
        ("get", "/v1/rollouts/{number}"),
        ("get", "/v1/secrets"),
        ("get", "/v1/silences"),
        ("get", "/v1/sites"),
        ("get", "/v1/sites/{name}"),
        ("get", "/v1/sites/{name}/config"),
        ("get", "/v1/sites/{name}/labels"),
        ("get", "/v1/sites/{name}/statement"),
        ("get", "/v1/steering"),
        ("get", "/v1/steering/deeds"),
        ("get", "/v1/streams/{stream}/records"),
        ("get", "/v1/tables"),
        ("get", "/v1/tables/{name}/edits"),
        ("get", "/v1/tables/{name}/mappings"),
        ("get", "/v1/tables/{name}/rows"),
        ("post", "/v1/alerts/{number}/acknowledge"),
        ("post", "/v1/commands"),
        ("post", "/v1/config"),
        ("post", "/v1/config/preview"),
        ("post", "/v1/config/revisions/{number}/apply"),
        ("post", "/v1/conflicts/{number}/resolve"),
        ("post", "/v1/conflicts/{number}/undo"),
        ("post", "/v1/enrol"),
        ("post", "/v1/followed"),
        ("post", "/v1/maintenance"),
        ("post", "/v1/maintenance/{number}/end"),
        ("post", "/v1/parcels"),
        ("post", "/v1/query"),
        ("post", "/v1/renew"),
        ("post", "/v1/rollouts/{number}/abort"),
        ("post", "/v1/rollouts/{number}/advance"),
        ("post", "/v1/rollouts/{number}/pause"),
        ("post", "/v1/rollouts/{number}/resume"),
        ("post", "/v1/secrets"),
        ("post", "/v1/secrets/{secret}/delete"),
        ("post", "/v1/silences"),
        ("post", "/v1/silences/{number}/end"),
        ("post", "/v1/sites"),
        ("post", "/v1/sites/{name}/ask"),
        ("post", "/v1/sites/{name}/labels"),
        ("post", "/v1/sites/{name}/revoke"),
        ("post", "/v1/sites/{name}/token"),
        ("post", "/v1/tables/{name}/define"),
        ("post", "/v1/tables/{name}/load"),
        ("post", "/v1/tables/{name}/mappings"),
        ("post", "/v1/tables/{name}/replay"),
        ("post", "/v1/tables/{name}/rows"),
        ("post", "/v1/tables/{name}/rows/delete"),
    ]
    assert all(one["summary"] and one["operationId"] for _, _, one in operations(described))


def test_every_refusal_is_described_as_a_problem(described: Any) -> None:  # noqa: ANN401
    for method, path, one in operations(described):
        for status, answer in one["responses"].items():
            kinds = set(answer["content"])
            assert (kinds == {PROBLEM_TYPE}) == (status >= "400"), (method, path, status)
    assert described["components"]["schemas"]["Problem"]["required"] == ["type", "title", "status", "detail"]


def test_every_reference_leads_somewhere(described: Any) -> None:  # noqa: ANN401
    def references(node: Any) -> list[str]:  # noqa: ANN401
        if isinstance(node, dict):
            inner = [found for value in node.values() for found in references(value)]
            return [*inner, node["$ref"]] if isinstance(node.get("$ref"), str) else inner
        return [found for value in node for found in references(value)] if isinstance(node, list) else []

    for reference in set(references(described)):
        node = described
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]


def test_who_may_ask_is_described(described: Any) -> None:  # noqa: ANN401
    schemes = described["components"]["securitySchemes"]
    assert {scheme["type"] for scheme in schemes.values()} == {"http", "mutualTLS"}
    for method, path, one in operations(described):
        assert bool(one.get("security")) == (path not in PUBLIC), (method, path)
        for needed in one.get("security", []):
            assert set(needed) <= set(schemes)


def _somewhere(path: str) -> str:
    return path.replace("{name}", "a").replace("{stream}", "a").replace("{number}", "1")


def test_what_is_described_as_public_is(hub: RunningHub, described: Any) -> None:  # noqa: ANN401
    for method, path, one in operations(described):
        reply = hub.ask(method.upper(), _somewhere(path))
        assert (reply.status == 401) == ({} not in one.get("security", [{}])), (method, path)
        assert str(reply.status) in one["responses"], (method, path)


def test_bodies_are_described_where_they_are_needed(hub: RunningHub, described: Any) -> None:  # noqa: ANN401
    for method, path, one in operations(described):
        assert ("requestBody" in one) == (path in WITH_BODY and method == "post"), (method, path)
    for method, path, one in operations(described):
        if "requestBody" in one and path not in {"/v1/parcels", "/v1/followed"}:
            (kind,) = one["requestBody"]["content"]
            reply = hub.ask(method.upper(), _somewhere(path), b"x", kind=kind, role=Role.ADMIN)
            assert reply.status == 400, (method, path)
            assert str(reply.status) in one["responses"], (method, path)


def test_json_bodies_have_a_schema_with_their_fields(described: Any) -> None:  # noqa: ANN401
    body = described["paths"]["/v1/sites"]["post"]["requestBody"]["content"][JSON]["schema"]
    assert set(body["properties"]) == {"name", "expires"}
    assert body["required"] == ["name"]
