"""The published vectors: another implementation can be checked with them, and ours never changes unnoticed."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from farshore_protocol import orders
from farshore_protocol.batch import parse_batch
from farshore_protocol.enrolment import read_token
from farshore_protocol.parcel import open_answer, open_statement, parse_parcel
from farshore_protocol.sealing import EpochKey, SealingKey, key_id
from tests.protocol import peers
from tests.protocol.vectors import make


def vector(name: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((make.HERE / f"{name}.json").read_text())
    return read


def public(hexed: str) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(bytes.fromhex(hexed))


def as_json(value: object) -> object:
    read: object = json.loads(json.dumps(value, default=bytes.hex))
    return read


def test_the_batches_of_the_vectors_open() -> None:
    known = vector("batch")
    for each in known["batches"]:
        read = parse_batch(bytes.fromhex(each["raw"]))
        key = EpochKey(known["site"], bytes.fromhex(each["epoch"]), bytes.fromhex(known["epoch_key"]))
        assert key.open(read).hex() == known["body"]
        assert (read.header.stream, read.header.first, read.header.count) == (
            each["stream"],
            each["first"],
            each["count"],
        )
        assert (read.header.counter, read.digest.hex()) == (each["counter"], each["digest"])


def test_the_parcel_of_the_vectors_opens() -> None:
    known = vector("parcel")
    signer = public(known["site_public_key"])
    read = parse_parcel(bytes.fromhex(known["parcel"]))
    assert open_statement(read, signer).number == known["statement"][2] == 7
    hub = SealingKey(read.epochs[0].hub_key, bytes.fromhex(known["hub_sealing_seed"]))
    assert hub.open_epoch(read.epochs[0], signer).open(parse_batch(read.batches[0])) == make.BODY


def test_the_answer_of_the_vectors_opens() -> None:
    known = vector("answer")
    keys = {bytes.fromhex(known["hub_key"]): public(known["hub_public_key"])}
    read = open_answer(bytes.fromhex(known["answer"]), keys)
    assert [read.accounts[0].stored, read.accounts[0].receipted] == [[501, 1200], [1, 500]]
    (brought,) = parse_parcel(bytes.fromhex(vector("parcel")["parcel"])).batches
    assert read.here == frozenset([parse_batch(brought).digest[:8]])


def test_the_token_of_the_vectors_opens() -> None:
    known = vector("token")
    assert read_token(known["token"]).secret.hex() == known["secret"]


def test_the_order_of_the_vectors_opens_with_the_key_that_follows_from_the_sites() -> None:
    known = vector("order")
    key = orders.site_sealing_key(bytes.fromhex(known["site_signing_key"]))
    assert key.seed.hex() == known["site_sealing_seed"]
    signers = {peers.HUB_SIGNING_ID: public(known["hub_public_key"])}
    raw = bytes.fromhex(known["raw"])
    read = orders.open_order(raw, hub=b"hub-name", site=peers.SITE, key=key, signers=signers)
    assert as_json(msgspec.to_builtins(read, builtin_types=(bytes,))) == known["order"]


def test_the_report_of_the_vectors_opens() -> None:
    known = vector("report")
    signer = public(known["site_public_key"])
    keys = [SealingKey(peers.HUB_SEALING.id, bytes.fromhex(known["hub_sealing_seed"]))]
    signers = {key_id(signer.public_bytes_raw()): signer}
    raw = bytes.fromhex(known["raw"])
    read = orders.open_report(raw, hub=b"hub-name", site=peers.SITE, keys=keys, signers=signers)
    assert as_json(msgspec.to_builtins(read, builtin_types=(bytes,))) == known["report"]


def test_what_is_written_today_is_what_was_published() -> None:
    assert as_json(make.kept_order()) == vector("order")
    assert as_json(make.kept_report()) == vector("report")
    assert as_json(make.batch()) == vector("batch")
    assert as_json(make.parcel(make.kept_epoch())) == vector("parcel")
    assert as_json(make.answer()) == vector("answer")
    assert as_json(make.token()) == vector("token")
