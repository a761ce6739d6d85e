"""Writes the test vectors of the wire format: `python -m tests.protocol.vectors.make`.

Everything is fixed but HPKE's own randomness, therefore the key epoch, the order and the report in the vectors are kept
once they are made: an implementation opens them, it does not make the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from farshore_protocol import orders, wire
from farshore_protocol.batch import BatchHeader, Kind
from farshore_protocol.documents import Signer
from farshore_protocol.enrolment import HubKey, JoinToken, write_token
from farshore_protocol.messages import KEY_EPOCH, Account, Answer, Claim, KeyEpoch, Reason, Receipt, Statement, short
from farshore_protocol.parcel import pack_answer, pack_parcel
from farshore_protocol.sealing import key_id
from tests.protocol import peers

HERE = Path(__file__).parent
BODY = b"the compressed columns stand here"


def batch() -> dict[str, Any]:
    """A batch of three records and one that names a dictionary."""
    plain = peers.epoch_key().seal(peers.header(), BODY)
    named = BatchHeader(Kind.RECORDS, peers.INCARNATION, peers.EPOCH, 300, "boiler.hourly", 1000, 10_000, b"dict-id!")
    other = peers.epoch_key().seal(named, BODY)
    return {
        "site": peers.SITE,
        "epoch_key": peers.EPOCH_SECRET.hex(),
        "body": BODY.hex(),
        "batches": [_shown(each.header, each.raw, each.digest) for each in (plain, other)],
    }


def parcel(epoch: KeyEpoch) -> dict[str, Any]:
    """A parcel with all it can carry."""
    statement = Statement(
        site=peers.SITE,
        incarnation=peers.INCARNATION,
        number=7,
        at_us=1_795_435_200_000_000,
        claims=[
            Claim(
                peers.INCARNATION,
                "boiler",
                1200,
                [1001, 1200],
                1_795_435_100_000_000,
                hours=[498_731, 1000, 498_732, 200],
                sealed=[(1001, [498_732, 3])],
            )
        ],
        receipts=[
            Receipt(
                peers.INCARNATION, "boiler", 1, 500, Reason.THINNED, 5, "full", ("boiler.hourly", 1, 4), [498_731, 500]
            )
        ],
        whole=True,
        agent_version="0.1.0",
    )
    raw = pack_parcel(statement, peers.SITE_SIGNER, epochs=[epoch], batches=[peers.sealed(BODY).raw])
    return {
        "site_public_key": peers.SITE_SIGNER.public_key().public_bytes_raw().hex(),
        "hub_sealing_seed": peers.HUB_SEALING.seed.hex(),
        "epoch_key": peers.EPOCH_SECRET.hex(),
        "statement": msgspec.to_builtins(statement, builtin_types=(bytes,)),
        "parcel": raw.hex(),
    }


def answer() -> dict[str, Any]:
    """An answer that acknowledges all of it."""
    said = Answer(
        hub=b"hub-name",
        life=b"hub-life",
        at_us=1_795_435_200_500_000,
        site=peers.SITE,
        incarnation=peers.INCARNATION,
        number=7,
        accounts=[Account(peers.INCARNATION, "boiler", [501, 1200], [1, 500], 500)],
        held=[peers.EPOCH],
        taken=short(peers.sealed(BODY).digest),
    )
    return {
        "hub_key": peers.HUB_SIGNING_ID.hex(),
        "hub_public_key": peers.HUB_SIGNER.public_key().public_bytes_raw().hex(),
        "accounts": msgspec.to_builtins(said.accounts, builtin_types=(bytes,)),
        "answer": pack_answer(said, peers.HUB_SIGNING_ID, peers.HUB_SIGNER).hex(),
    }


def token() -> dict[str, Any]:
    """A join token."""
    made = JoinToken(["https://hub.example:8443"], peers.SITE, bytes(range(16)), bytes(range(32)))
    return {"addresses": made.addresses, "site": made.site, "secret": made.secret.hex(), "token": write_token(made)}


def kept_epoch() -> KeyEpoch:
    """The key epoch of the vectors; made once."""
    path = HERE / "key_epoch.json"
    if not path.exists():
        write("key_epoch", {"message": wire.pack(peers.key_epoch()).hex()})
    return KEY_EPOCH.decode(bytes.fromhex(json.loads(path.read_text())["message"]))


def kept_order() -> dict[str, Any]:
    """Settings for the site, sealed to the key that follows from its signing key."""
    private = peers.SITE_SIGNER.private_bytes_raw()
    sealing = orders.site_sealing_key(private)
    said = orders.Order(
        hub=b"hub-name",
        site=peers.SITE,
        number=1_795_435_200_000_001,
        made_us=1_795_435_200_000_000,
        expires_us=1_795_438_800_000_000,
        desired=orders.Desired("[streams.boiler]\npriority = 7\n", 12, 60),
    )
    signer = Signer(peers.HUB_SIGNING_ID, peers.HUB_SIGNER)
    site_key = HubKey(sealing.id, sealing.public_bytes())
    return {
        "hub_public_key": peers.HUB_SIGNER.public_key().public_bytes_raw().hex(),
        "site_signing_key": private.hex(),
        "site_sealing_seed": sealing.seed.hex(),
        "order": msgspec.to_builtins(said, builtin_types=(bytes,)),
        "raw": _kept("order", lambda: orders.pack_order(said, signer, site_key)),
    }


def kept_report() -> dict[str, Any]:
    """What the site says of them, and of a command."""
    said = orders.Report(
        hub=b"hub-name",
        site=peers.SITE,
        number=1_795_435_200_000_002,
        at_us=1_795_435_200_000_000,
        agent_version="0.1.0",
        schema=bytes(range(16)),
        settings=orders.SettingsReport(0, 1_795_435_200_000_001, orders.Outcome.ROLLED_BACK, ["no answer"]),
        command=orders.CommandReport(1_795_435_200_000_000, done=True, text="all of it is at the hub"),
        introduction=orders.Introduction(HubKey(peers.EPOCH, b"the public key"), b"the schema", ["streams", "seal"]),
    )
    public = peers.SITE_SIGNER.public_key().public_bytes_raw()
    signer = Signer(key_id(public), peers.SITE_SIGNER)
    hub_key = HubKey(peers.HUB_SEALING.id, peers.HUB_SEALING.public_bytes())
    return {
        "site_public_key": public.hex(),
        "hub_sealing_seed": peers.HUB_SEALING.seed.hex(),
        "report": msgspec.to_builtins(said, builtin_types=(bytes,)),
        "raw": _kept("report", lambda: orders.pack_report(said, signer, hub_key)),
    }


def _kept(name: str, make: Callable[[], bytes]) -> str:
    path = HERE / f"{name}.json"
    return str(json.loads(path.read_text())["raw"]) if path.exists() else make().hex()


def write(name: str, vector: dict[str, Any]) -> None:
    """One vector as a file of JSON; bytes are hex."""
    text = json.dumps(vector, indent=2, default=lambda value: value.hex())
    (HERE / f"{name}.json").write_text(text + "\n")


def _shown(header: BatchHeader, raw: bytes, digest: bytes) -> dict[str, Any]:
    return {
        "incarnation": header.incarnation.hex(),
        "epoch": header.epoch.hex(),
        "counter": header.counter,
        "stream": header.stream,
        "first": header.first,
        "count": header.count,
        "dictionary": header.dictionary.hex() if header.dictionary else None,
        "digest": digest.hex(),
        "raw": raw.hex(),
    }


def main() -> None:
    """Write all vectors."""
    write("batch", batch())
    write("parcel", parcel(kept_epoch()))
    write("answer", answer())
    write("token", token())
    write("order", kept_order())
    write("report", kept_report())


if __name__ == "__main__":
    main()
