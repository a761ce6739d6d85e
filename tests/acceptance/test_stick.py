"""A site without a link: parcels are carried to the hub as files, and their answers are carried back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from farshore_protocol.messages import Answer
from farshore_protocol.parcel import open_answer, pack_answer
from tests.acceptance.client import identity_of
from tests.acceptance.conftest import MakeSite
from tests.acceptance.hub import Hub
from tests.acceptance.proxy import Proxy
from tests.acceptance.settled import assert_settled
from tests.acceptance.site import Site


@pytest.fixture
def site(hub: Hub, sites: MakeSite, proxied: Callable[[Hub], Proxy]) -> Site:
    """It has joined, and never had a link since."""
    link = proxied(hub)
    made = sites(hub, port=link.port, started=False)
    link.cut()
    made.start()
    return made


def _pending(site: Site) -> int:
    found: int = site.status()["buffer"]["pending"]
    return found


def test_what_is_carried_by_hand_is_settled_like_over_a_link(hub: Hub, site: Site, folder: Path) -> None:
    site.must_post(500)
    acks = hub.take(*site.export(folder / "a.parcel"))
    assert _pending(site) == 500
    site.do("import-ack", *acks)
    assert _pending(site) == 0
    assert_settled(hub, site)


def test_an_agent_that_is_not_running_exports_too(hub: Hub, site: Site, folder: Path) -> None:
    site.must_post(500)
    site.stop()
    acks = hub.take(*site.export(folder / "a.parcel"))
    site.do("import-ack", *acks)
    assert site.do("status", "--json").json["buffer"]["pending"] == 0
    site.start()
    assert_settled(hub, site)


def test_answers_that_come_twice_late_and_in_the_wrong_order_do_no_harm(hub: Hub, site: Site, folder: Path) -> None:
    site.must_post(100)
    older = site.export(folder / "older.parcel")
    site.must_post(100)
    newer = site.export(folder / "newer.parcel")
    first, second = hub.take(*older), hub.take(*newer)
    site.must_post(100)
    site.do("import-ack", *second)
    assert _pending(site) == 100
    site.do("import-ack", *first, *second, *second)
    assert _pending(site) == 100
    site.do("import-ack", *hub.take(*site.export(folder / "last.parcel")))
    assert_settled(hub, site)


def test_an_answer_that_is_damaged_or_forged_is_refused_and_nothing_is_forgotten(
    hub: Hub, site: Site, folder: Path
) -> None:
    site.must_post(100)
    (ack,) = hub.take(*site.export(folder / "a.parcel"))
    genuine = ack.read_bytes()
    identity = identity_of(site.state)
    answer: Answer = open_answer(genuine, identity.hub_keys)
    forgeries = {
        "cut short": genuine[:-20],
        "changed": genuine[:-80] + bytes((genuine[-80] ^ 1,)) + genuine[-79:],
        "of another key": pack_answer(answer, next(iter(identity.hub_keys)), Ed25519PrivateKey.generate()),
        "of another hub": pack_answer(answer, b"anything", Ed25519PrivateKey.generate()),
        "empty": b"",
        "a parcel": (folder / "a.parcel").read_bytes(),
    }
    for name, content in forgeries.items():
        (folder / "forged.ack").write_bytes(content)
        said = site.run("import-ack", folder / "forged.ack")
        assert (said.code, said.err[:6]) == (5, "error:"), (name, said)
    assert _pending(site) == 100
    site.do("import-ack", ack)
    assert_settled(hub, site)


def test_a_parcel_that_is_damaged_on_the_way_is_refused_and_can_be_brought_again(
    hub: Hub, site: Site, folder: Path
) -> None:
    site.must_post(100)
    (parcel,) = site.export(folder / "a.parcel")
    genuine = parcel.read_bytes()
    damaged = folder / "damaged.parcel"
    for content in (genuine[:-10], b"FSP\x01" + genuine[5:], b"FSP\x09" + genuine[4:], b"", b"garbage" * 1000):
        damaged.write_bytes(content)
        said = hub.run("import", damaged)
        assert (said.code, said.err[:6]) == (5, "error:"), said
    site.do("import-ack", *hub.take(parcel))
    assert_settled(hub, site)
