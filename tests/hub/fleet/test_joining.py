"""Joining a hub: tokens, enrolment, renewal, revocation."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from farshore_hub.errors import Conflict, HubError, Invalid, SiteRevoked, TokenRefused, Unauthenticated, Unknown
from farshore_hub.fleet import sites
from farshore_hub.fleet.ca import read_csr
from farshore_hub.fleet.context import Fleet
from farshore_hub.fleet.enrol import enrol
from farshore_hub.fleet.renew import renew
from farshore_hub.fleet.signin import Peer, peer_of, site_of, sites_of
from farshore_hub.store.fleet import SiteState
from farshore_protocol.enrolment import Membership, read_membership, read_token
from farshore_protocol.errors import Malformed, NotAuthentic
from tests.hub.fleet.site import DAY_S, SiteKeys, TurnableClock


def join(fleet: Fleet, site: SiteKeys) -> Membership:
    token = sites.add(fleet, site.name, DAY_S)
    return read_membership(enrol(fleet, site.enrolment(token)))


def signed_in(fleet: Fleet, membership: Membership) -> str:
    return site_of(fleet, peer_of(membership.certificate))


def test_a_join_token_carries_the_hubs_addresses_and_the_hash_of_its_ca(fleet: Fleet) -> None:
    token = read_token(sites.add(fleet, "pump-1", DAY_S))
    assert (token.site, token.addresses, token.ca_sha256) == ("pump-1", fleet.addresses, fleet.keys.ca.sha256)


def test_a_site_that_enrols_gets_a_certificate_that_signs_it_in(fleet: Fleet) -> None:
    site = SiteKeys("pump-1")
    membership = join(fleet, site)
    certificate = x509.load_pem_x509_certificate(membership.certificate.encode())
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(membership.ca.encode()))
    assert certificate.public_key() == site.tls.public_key()
    assert signed_in(fleet, membership) == "pump-1"
    assert membership.signing_keys == fleet.keys.public_signing_keys
    assert membership.sealing_keys == fleet.keys.public_sealing_keys


def test_a_site_is_pending_then_active_then_revoked(fleet: Fleet) -> None:
    token = sites.add(fleet, "pump-1", DAY_S)
    states = [sites.listing(fleet)[0].state]
    enrol(fleet, SiteKeys("pump-1").enrolment(token))
    states.append(sites.listing(fleet)[0].state)
    states.append(sites.revoke(fleet, "pump-1").state)
    assert states == [SiteState.PENDING, SiteState.ACTIVE, SiteState.REVOKED]


def test_a_token_works_once(fleet: Fleet) -> None:
    token = sites.add(fleet, "pump-1", DAY_S)
    enrol(fleet, SiteKeys("pump-1").enrolment(token))
    with pytest.raises(TokenRefused, match="used already"):
        enrol(fleet, SiteKeys("pump-1").enrolment(token))


def test_of_many_that_use_one_token_at_once_exactly_one_wins(fleet: Fleet) -> None:
    token = sites.add(fleet, "pump-1", DAY_S)
    requests = [SiteKeys("pump-1").enrolment(token) for _ in range(6)]

    def attempt(request: bytes) -> bool:
        try:
            enrol(fleet, request)
        except TokenRefused:
            return False
        return True

    with ThreadPoolExecutor(len(requests)) as pool:
        assert sorted(pool.map(attempt, requests)) == [False] * 5 + [True]


def test_an_expired_token_is_refused(fleet: Fleet, clock: TurnableClock) -> None:
    token = sites.add(fleet, "pump-1", DAY_S)
    clock.turn_days(1)
    with pytest.raises(TokenRefused, match="too old"):
        enrol(fleet, SiteKeys("pump-1").enrolment(token))


def test_a_token_is_good_for_its_own_site_only(fleet: Fleet) -> None:
    token = sites.add(fleet, "pump-1", DAY_S)
    sites.add(fleet, "pump-2", DAY_S)
    with pytest.raises(TokenRefused, match="not known"):
        enrol(fleet, SiteKeys("pump-2").enrolment(token))
    enrol(fleet, SiteKeys("pump-1").enrolment(token))


def test_a_bad_signing_request_leaves_the_token_good(fleet: Fleet) -> None:
    token = sites.add(fleet, "pump-1", DAY_S)
    site = SiteKeys("pump-1")
    with pytest.raises(Invalid):
        enrol(fleet, site.enrolment(token, csr="no request"))
    enrol(fleet, site.enrolment(token))


def test_a_fresh_token_replaces_those_that_were_not_used(fleet: Fleet) -> None:
    first = sites.add(fleet, "pump-1", DAY_S)
    second = sites.fresh_token(fleet, "pump-1", DAY_S)
    with pytest.raises(TokenRefused):
        enrol(fleet, SiteKeys("pump-1").enrolment(first))
    enrol(fleet, SiteKeys("pump-1").enrolment(second))


def test_enrolling_anew_ends_the_certificates_of_the_machine_before(fleet: Fleet) -> None:
    before = join(fleet, SiteKeys("pump-1"))
    after = enrol(fleet, SiteKeys("pump-1").enrolment(sites.fresh_token(fleet, "pump-1", DAY_S)))
    with pytest.raises(Unauthenticated):
        signed_in(fleet, before)
    assert signed_in(fleet, read_membership(after)) == "pump-1"


def test_a_site_is_added_once(fleet: Fleet) -> None:
    sites.add(fleet, "pump-1", DAY_S)
    with pytest.raises(Conflict, match="already"):
        sites.add(fleet, "pump-1", DAY_S)


@pytest.mark.parametrize("name", ["", "Pump", "a/b", "a.b", "-a", "a" * 64, "ä"])
def test_a_bad_site_name_is_refused(fleet: Fleet, name: str) -> None:
    with pytest.raises(Invalid):
        sites.add(fleet, name, DAY_S)


def test_what_is_not_there_cannot_be_revoked_or_given_a_token(fleet: Fleet) -> None:
    with pytest.raises(Unknown):
        sites.revoke(fleet, "pump-1")
    with pytest.raises(Unknown):
        sites.fresh_token(fleet, "pump-1", DAY_S)


def test_a_revoked_site_is_shut_out_at_once(fleet: Fleet) -> None:
    site = SiteKeys("pump-1")
    membership = join(fleet, site)
    sites.revoke(fleet, "pump-1")
    with pytest.raises(SiteRevoked):
        signed_in(fleet, membership)
    with pytest.raises(SiteRevoked):
        renew(fleet, site.renewal(), None)


def test_a_revoked_site_joins_anew_with_new_keys_and_its_old_certificate_stays_worthless(fleet: Fleet) -> None:
    thief = SiteKeys("pump-1")
    stolen = join(fleet, thief)
    sites.revoke(fleet, "pump-1")
    honest = enrol(fleet, SiteKeys("pump-1").enrolment(sites.fresh_token(fleet, "pump-1", DAY_S)))
    assert signed_in(fleet, read_membership(honest)) == "pump-1"
    with pytest.raises(Unauthenticated):
        signed_in(fleet, stolen)
    with pytest.raises(NotAuthentic):
        renew(fleet, thief.renewal(), None)


def test_a_token_from_before_the_revocation_is_worthless(fleet: Fleet) -> None:
    token = sites.add(fleet, "pump-1", DAY_S)
    sites.revoke(fleet, "pump-1")
    with pytest.raises(TokenRefused):
        enrol(fleet, SiteKeys("pump-1").enrolment(token))


def test_a_certificate_ends(fleet: Fleet, clock: TurnableClock) -> None:
    membership = join(fleet, SiteKeys("pump-1"))
    clock.turn_days(29)
    assert signed_in(fleet, membership) == "pump-1"
    clock.turn_days(1)
    with pytest.raises(Unauthenticated, match="has ended"):
        signed_in(fleet, membership)


def test_a_signed_in_site_renews_without_a_signature(fleet: Fleet) -> None:
    site = SiteKeys("pump-1")
    own = peer_of(join(fleet, site).certificate)
    assert signed_in(fleet, read_membership(renew(fleet, site.unsigned_renewal(), own))) == "pump-1"


def test_a_site_renews_with_its_signing_key_long_after_its_certificate_ended(
    fleet: Fleet, clock: TurnableClock
) -> None:
    site = SiteKeys("pump-1")
    join(fleet, site)
    clock.turn_days(30 + 399)
    assert signed_in(fleet, read_membership(renew(fleet, site.renewal(), None))) == "pump-1"


def test_after_the_grace_a_site_has_to_join_anew(fleet: Fleet, clock: TurnableClock) -> None:
    site = SiteKeys("pump-1")
    join(fleet, site)
    clock.turn_days(30 + 401)
    with pytest.raises(Unauthenticated, match="too long ago"):
        renew(fleet, site.renewal(), None)


def test_nobody_renews_for_another_site(fleet: Fleet) -> None:
    site, other = SiteKeys("pump-1"), SiteKeys("pump-2")
    join(fleet, site)
    others = peer_of(join(fleet, other).certificate)
    with pytest.raises(NotAuthentic):
        renew(fleet, site.renewal(signed_by=other.signing), None)
    with pytest.raises(NotAuthentic):
        renew(fleet, site.unsigned_renewal(), others)


def test_a_site_that_never_enrolled_cannot_renew(fleet: Fleet) -> None:
    sites.add(fleet, "pump-1", DAY_S)
    with pytest.raises(Unauthenticated):
        renew(fleet, SiteKeys("pump-1").renewal(), None)
    with pytest.raises(Unauthenticated):
        renew(fleet, SiteKeys("pump-9").renewal(), None)


def test_a_signing_request_for_another_curve_is_refused() -> None:
    with pytest.raises(Invalid, match="P-256"):
        read_csr(SiteKeys("pump-1").csr(ec.generate_private_key(ec.SECP384R1())))


def test_a_signing_request_for_another_kind_of_key_is_refused() -> None:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "pump-1")])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(Ed25519PrivateKey.generate(), None)
    with pytest.raises(Invalid, match="P-256"):
        read_csr(request.public_bytes(serialization.Encoding.PEM).decode())


def test_a_signing_request_that_its_key_did_not_sign_is_refused() -> None:
    pem = SiteKeys("pump-1").csr()
    request = x509.load_pem_x509_csr(pem.encode())
    der = bytearray(request.public_bytes(serialization.Encoding.DER))
    at = bytes(der).index(b"pump-1")
    der[at : at + 6] = b"pump-2"
    forged = x509.load_der_x509_csr(bytes(der)).public_bytes(serialization.Encoding.PEM).decode()
    with pytest.raises(Invalid, match="not signed"):
        read_csr(forged)


@given(st.text(max_size=300))
def test_hostile_signing_requests_are_only_ever_refused(text: str) -> None:
    with pytest.raises(HubError):
        read_csr("-----BEGIN CERTIFICATE REQUEST-----\n" + text + "\n-----END CERTIFICATE REQUEST-----\n")


def test_a_malformed_request_is_named_so(fleet: Fleet) -> None:
    with pytest.raises(Malformed):
        enrol(fleet, b"\x94")


def test_each_of_many_that_sign_in_at_once_is_known_or_refused_for_itself(fleet: Fleet) -> None:
    names = ["pump-1", "pump-2", "pump-3"]
    peers = [peer_of(join(fleet, SiteKeys(name)).certificate) for name in names]
    sites.revoke(fleet, "pump-2")
    stranger = Peer("00ff", "pump-9")
    one, two, three, unknown, again = sites_of(fleet, [*peers, stranger, peers[0]])
    assert (one, three, again) == ("pump-1", "pump-3", "pump-1")
    assert (type(two), type(unknown)) == (SiteRevoked, Unauthenticated)
