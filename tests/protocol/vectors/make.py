"""Writes the test vectors of the wire format: `python -m tests.protocol.vectors.make`.

Everything is fixed but HPKE's own randomness, therefore the key epoch in the vectors is kept once it is made: an
implementation opens it, it does not make the same bytes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from farshore_protocol import wire
from farshore_protocol.batch import BatchHeader, Kind
from farshore_protocol.enrolment import JoinToken, write_token
from farshore_protocol.messages import KEY_EPOCH, Account, Answer, Claim, KeyEpoch, Reason, Receipt, Statement
from farshore_protocol.parcel import pack_answer, pack_parcel
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


if __name__ == "__main__":
    main()
