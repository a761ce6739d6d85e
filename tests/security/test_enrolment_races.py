"""Enrolment, renewal and revocation that meet in the middle: whatever the order, a thief has nothing afterwards.

On SQLite writers stand in line anyway; on PostgreSQL they do only because each of them locks its site first.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from cryptography import x509
from sqlalchemy import Connection

from farshore_hub.errors import HubError, Invalid, SiteRevoked, TokenRefused, Unauthenticated
from farshore_hub.fleet import enrol, renew, sites
from farshore_hub.fleet.context import Fleet
from farshore_hub.fleet.signin import Peer, peer_of, site_of
from farshore_hub.store import fleet as store
from farshore_hub.store.engine import reading
from farshore_hub.store.fleet import SiteState
from farshore_protocol.enrolment import Membership, read_membership, read_token
from farshore_protocol.errors import NotAuthentic
from tests.hub.fleet.site import DAY_S, SiteKeys, TurnableClock

ENOUGH_S = 60.0
A_MOMENT_S = 0.5
NAME = "pump-1"


def join(fleet: Fleet, keys: SiteKeys) -> Membership:
    known = any(site.name == keys.name for site in sites.listing(fleet))
    token = sites.fresh_token(fleet, keys.name, DAY_S) if known else sites.add(fleet, keys.name, DAY_S)
    return read_membership(enrol.enrol(fleet, keys.enrolment(token)))


def peer(membership: Membership) -> Peer:
    return peer_of(membership.certificate)


def works(fleet: Fleet, membership: Membership) -> bool:
    try:
        return site_of(fleet, peer(membership)) == membership.site
    except HubError:
        return False


@contextmanager
def held_up(monkeypatch: pytest.MonkeyPatch, step: str) -> Iterator[tuple[threading.Event, threading.Event]]:
    """One call of a store function waits: `reached` tells that it is there, `go_on` lets it pass."""
    reached, go_on = threading.Event(), threading.Event()
    real: Callable[..., None] = getattr(store, step)

    def slow(connection: Connection, *arguments: object) -> None:
        if not reached.is_set():
            reached.set()
            assert go_on.wait(ENOUGH_S)
        real(connection, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(store, step, slow)
        yield reached, go_on


def ended(work: Future[Any]) -> object:
    """What the work returned or raised."""
    return work.exception(ENOUGH_S) or work.result()


@pytest.mark.parametrize("proof", ["the stolen certificate", "the stolen signing key"])
def test_a_renewal_under_way_gives_a_thief_nothing_when_the_site_has_joined_anew(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, proof: str
) -> None:
    thief, honest = SiteKeys(NAME), SiteKeys(NAME)
    stolen = join(fleet, thief)
    by_certificate = proof == "the stolen certificate"
    request = thief.unsigned_renewal() if by_certificate else thief.renewal()
    with ThreadPoolExecutor() as pool, held_up(monkeypatch, "insert_certificate") as (reached, go_on):
        renewing = pool.submit(renew.renew, fleet, request, peer(stolen) if by_certificate else None)
        assert reached.wait(ENOUGH_S)
        joining = pool.submit(join, fleet, honest)
        # It either waits for the renewal, and then ends what that gave out, or it is over before.
        threading.Event().wait(A_MOMENT_S)
        go_on.set()
        given, membership = ended(renewing), ended(joining)
    assert isinstance(membership, Membership), membership
    assert works(fleet, membership)
    assert not works(fleet, stolen)
    assert not (isinstance(given, bytes) and works(fleet, read_membership(given)))


def test_a_certificate_that_was_good_when_the_request_began_is_looked_at_again_when_it_counts(fleet: Fleet) -> None:
    thief = SiteKeys(NAME)
    stolen = join(fleet, thief)
    assert works(fleet, stolen)
    # The body of the thief's request stays away while this happens:
    sites.revoke(fleet, NAME)
    join(fleet, SiteKeys(NAME))
    with pytest.raises(NotAuthentic):
        renew.renew(fleet, thief.unsigned_renewal(), peer(stolen))


@pytest.mark.parametrize("step", ["use_join_token", "activate_site", "insert_certificate"])
def test_an_enrolment_and_a_revocation_that_meet_leave_the_site_revoked_or_the_token_refused(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    token = sites.add(fleet, NAME, DAY_S)
    keys = SiteKeys(NAME)
    with ThreadPoolExecutor() as pool, held_up(monkeypatch, step) as (reached, go_on):
        joining = pool.submit(enrol.enrol, fleet, keys.enrolment(token))
        assert reached.wait(ENOUGH_S)
        revoking = pool.submit(sites.revoke, fleet, NAME)
        threading.Event().wait(A_MOMENT_S)
        go_on.set()
        given, revoked = ended(joining), ended(revoking)
    assert not isinstance(revoked, Exception), revoked
    assert sites.find(fleet, NAME).state is SiteState.REVOKED
    assert isinstance(given, TokenRefused) or (isinstance(given, bytes) and not works(fleet, read_membership(given)))
    with pytest.raises(SiteRevoked):
        renew.renew(fleet, keys.renewal(), None)


def test_a_revoked_sites_signing_key_does_not_come_back_with_a_new_token(fleet: Fleet) -> None:
    keys = SiteKeys(NAME)
    join(fleet, keys)
    sites.revoke(fleet, NAME)
    token = sites.fresh_token(fleet, NAME, DAY_S)
    with pytest.raises(Invalid, match="signing key"):
        enrol.enrol(fleet, keys.enrolment(token))
    # The token is still good for keys that nobody has stolen.
    assert works(fleet, read_membership(enrol.enrol(fleet, SiteKeys(NAME).enrolment(token))))


def test_of_many_enrolments_with_one_token_at_once_exactly_one_is_a_member(fleet: Fleet) -> None:
    token = sites.add(fleet, NAME, DAY_S)
    requests = [SiteKeys(NAME).enrolment(token) for _ in range(12)]
    start = threading.Barrier(len(requests))

    def attempt(request: bytes) -> object:
        start.wait(ENOUGH_S)
        return enrol.enrol(fleet, request)

    with ThreadPoolExecutor(len(requests)) as pool:
        outcomes = [ended(each) for each in [pool.submit(attempt, request) for request in requests]]
    won = [each for each in outcomes if isinstance(each, bytes)]
    assert [isinstance(each, TokenRefused) for each in outcomes].count(True) == len(requests) - 1, outcomes
    assert [works(fleet, read_membership(each)) for each in won] == [True]


def test_an_enrolment_that_is_sent_again_gives_nothing(fleet: Fleet) -> None:
    keys = SiteKeys(NAME)
    request = keys.enrolment(sites.add(fleet, NAME, DAY_S))
    first = read_membership(enrol.enrol(fleet, request))
    with pytest.raises(TokenRefused):
        enrol.enrol(fleet, request)
    assert works(fleet, first)


def test_a_renewal_that_is_sent_again_gives_a_certificate_for_the_same_key_only(fleet: Fleet) -> None:
    keys = SiteKeys(NAME)
    join(fleet, keys)
    captured = keys.renewal()
    again = [read_membership(renew.renew(fleet, captured, None)) for _ in range(3)]
    certificates = [x509.load_pem_x509_certificate(each.certificate.encode()) for each in again]
    assert [each.public_key() for each in certificates] == [keys.tls.public_key()] * 3


def test_a_site_that_renews_without_end_leaves_a_bounded_number_of_certificates(
    fleet: Fleet, clock: TurnableClock
) -> None:
    keys = SiteKeys(NAME)
    first = join(fleet, keys)
    latest = first
    for _ in range(store.MAX_CERTIFICATES + 5):
        clock.turn_days(0.01)
        latest = read_membership(renew.renew(fleet, keys.renewal(), None))
    with reading(fleet.engine) as connection:
        assert store.count_certificates(connection, sites.find(fleet, NAME).id) == store.MAX_CERTIFICATES
    assert works(fleet, latest)
    with pytest.raises(Unauthenticated):
        site_of(fleet, peer(first))


def test_a_hub_whose_clock_was_set_back_still_keeps_the_certificate_that_it_gives(
    fleet: Fleet, clock: TurnableClock
) -> None:
    keys = SiteKeys(NAME)
    join(fleet, keys)
    for _ in range(store.MAX_CERTIFICATES + 2):
        clock.turn_days(-0.01)
        assert works(fleet, read_membership(renew.renew(fleet, keys.renewal(), None)))


def test_a_token_is_kept_as_a_hash_only_and_found_by_it(fleet: Fleet) -> None:
    secret = read_token(sites.add(fleet, NAME, DAY_S)).secret
    with reading(fleet.engine) as connection:
        assert store.find_join_token(connection, secret) is None
        assert store.find_join_token(connection, sites.hash_of(secret)) is not None
