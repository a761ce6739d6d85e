"""Joining a hub over real TLS, and everything that can be wrong with a token."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from farshore_agent.errors import ExitCode, IdentityError, NotEnrolled
from farshore_agent.forward.link import LinkDown, LinkRefused
from farshore_agent.identity.answer import WrongHub
from farshore_agent.identity.enrol import BadToken, enrol, parse_token
from farshore_agent.identity.epoch import new_epoch
from farshore_agent.identity.files import make_private_dir
from farshore_agent.identity.identity import Identity
from farshore_protocol.enrolment import JoinToken, write_token
from farshore_shell.files import write_private
from farshore_shell.system import real_world
from tests.agent.forward.hub_stub import HubStub

WORLD = real_world()


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[HubStub]:
    async with HubStub(tmp_path) as hub:
        yield hub


async def test_a_token_makes_an_identity_that_survives_on_disk(hub: HubStub, tmp_path: Path) -> None:
    identity = await enrol(parse_token(hub.token()), WORLD)
    identity.save(tmp_path / "identity")
    assert Identity.load(tmp_path / "identity") == identity
    assert identity.site == "ship-1"
    assert hub.signing_keys["ship-1"] == identity.signer.public_key()


async def test_the_identity_is_readable_by_its_owner_only(hub: HubStub, tmp_path: Path) -> None:
    folder = tmp_path / "identity"
    folder.mkdir(mode=0o755)
    identity = await enrol(parse_token(hub.token()), WORLD)
    identity.save(folder)
    identity.write_chain(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()} == {
        "identity.json": 0o600,
        "tls.pem": 0o600,
    }


async def test_a_token_serves_once(hub: HubStub) -> None:
    token = parse_token(hub.token())
    await enrol(token, WORLD)
    with pytest.raises(LinkRefused, match="used already") as refused:
        await enrol(token, WORLD)
    assert "farshore-hub site token ship-1" in refused.value.remedy
    assert refused.value.exit_code is ExitCode.HUB


async def test_a_hub_with_another_ca_gets_no_secret(hub: HubStub) -> None:
    with pytest.raises(WrongHub, match="SHA-256"):
        await enrol(parse_token(hub.token(ca_sha256=bytes(32))), WORLD)
    assert hub.requests == ["GET /v1/ca"]


async def test_a_ca_that_somebody_has_put_beside_the_hubs_is_not_trusted(hub: HubStub, tmp_path: Path) -> None:
    """The token's hash says nothing of a second certificate: whoever stood in between would have been the hub."""
    (tmp_path / "stranger").mkdir()
    stranger = HubStub(tmp_path / "stranger")
    stranger.beside_ca = hub.ca
    async with stranger:
        joined = await enrol(parse_token(hub.token()), WORLD, addresses=stranger.addresses)
    assert joined.site == "ship-1"
    assert stranger.requests == ["GET /v1/ca"]


async def test_a_hub_that_is_not_there_is_told_from_one_that_refuses(hub: HubStub) -> None:
    token = parse_token(hub.token())
    await hub.cut_link()
    with pytest.raises(LinkDown) as down:
        await enrol(token, WORLD)
    assert down.value.remedy
    assert down.value.exit_code is ExitCode.HUB


async def test_every_address_of_a_token_is_tried(hub: HubStub) -> None:
    token = parse_token(hub.token())
    addresses = ["https://127.0.0.1:1", *token.addresses]
    moved = parse_token(write_token(JoinToken(addresses, token.site, token.secret, token.ca_sha256)))
    assert (await enrol(moved, WORLD)).site == "ship-1"


async def test_the_addresses_of_the_settings_come_first(hub: HubStub) -> None:
    token = parse_token(hub.token())
    elsewhere = JoinToken(["https://127.0.0.1:1"], token.site, token.secret, token.ca_sha256)
    assert (await enrol(elsewhere, WORLD, addresses=[f"127.0.0.1:{hub.port}"])).site == "ship-1"


@pytest.mark.parametrize("text", ["", "hello", "fs1.", "fs1.AAAA", "fs9.AAAA", "x" * 5000])
def test_what_is_no_token_is_a_mistake_of_usage(text: str) -> None:
    with pytest.raises(BadToken) as bad:
        parse_token(text)
    assert bad.value.exit_code is ExitCode.USAGE


async def test_a_site_that_joins_anew_has_new_keys(hub: HubStub) -> None:
    first = await enrol(parse_token(hub.token()), WORLD)
    again = await enrol(parse_token(hub.token()), WORLD)
    assert again.keys.signing_key != first.keys.signing_key
    assert again.keys.tls_key != first.keys.tls_key


def test_without_an_identity_the_remedy_is_a_token(tmp_path: Path) -> None:
    with pytest.raises(NotEnrolled) as missing:
        Identity.load(tmp_path)
    assert "farshore-agent enrol" in missing.value.remedy


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b'{"version": 1}', b"[" * 100_000])
def test_a_damaged_identity_is_said_to_be_damaged(content: bytes, tmp_path: Path) -> None:
    write_private(tmp_path / "identity.json", content)
    with pytest.raises(IdentityError, match="damaged"):
        Identity.load(tmp_path)


async def test_a_key_epoch_opens_at_the_hub(hub: HubStub) -> None:
    identity = await enrol(parse_token(hub.token()), WORLD)
    first, second = (new_epoch(identity, WORLD.clock, WORLD.random) for _ in range(2))
    opened = hub.open_epoch(first[0])
    assert opened.epoch == first[1].epoch
    assert first[0].id != second[0].id


def test_the_state_folder_that_an_enrolment_makes_is_private(tmp_path: Path) -> None:
    make_private_dir(tmp_path / "state" / "identity")
    assert (tmp_path / "state").stat().st_mode & 0o077 == 0
