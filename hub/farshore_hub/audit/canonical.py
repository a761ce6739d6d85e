"""Statements of completeness as bytes: canonical JSON and a signature over it. Pure, and needs no hub.

A statement's file is one line: the canonical JSON of an object with the members `statement` and `signature`. Canonical
is: members in the order of their names, no white space, other than ASCII escaped, integers only. What is signed is
`PREFIX` and the canonical JSON of the statement. docs/statement-format.md describes it for others.
"""

from __future__ import annotations

import base64
import json
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from farshore_hub.errors import Malformed, NotAuthentic
from farshore_protocol import sealing

FORMAT: Final = "farshore-statement-1"
PREFIX: Final = b"farshore-statement-1\n"
MAX_BYTES: Final = 64 * 1024 * 1024


def canonical(value: object) -> bytes:
    """The one way to write a value as JSON. Numbers are integers."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()


def sign(statement: dict[str, Any], key: Ed25519PrivateKey) -> bytes:
    """The file of a statement."""
    public = key.public_key()
    signature = {
        "algorithm": "Ed25519",
        "key": key_id(public),
        "value": base64.b64encode(key.sign(PREFIX + canonical(statement))).decode(),
    }
    return canonical({"statement": statement, "signature": signature}) + b"\n"


def verify(raw: bytes, key: Ed25519PublicKey) -> dict[str, Any]:
    """The statement in a file, if the hub with that key has signed exactly these bytes.

    Raises:
        Malformed: it is not a whole statement in canonical form.
        NotAuthentic: the key is another hub's, or something was changed.
    """
    document = _read(raw)
    statement: dict[str, Any] = document["statement"]
    signature: dict[str, str] = document["signature"]
    if signature["algorithm"] != "Ed25519":
        raise Malformed(f"it is signed with {signature['algorithm']!r}, and only Ed25519 is known")
    if signature["key"] != key_id(key):
        raise NotAuthentic(
            f"it was signed with the key {signature['key']}, and the one that was given is {key_id(key)}",
            remedy="get the right hub's key from its operator: farshore-hub statement key",
        )
    try:
        key.verify(base64.b64decode(signature["value"], validate=True), PREFIX + canonical(statement))
    except (InvalidSignature, ValueError):
        raise NotAuthentic("its signature does not match: something in it was changed") from None
    if statement.get("format") != FORMAT:
        raise Malformed(f"its format is {statement.get('format')!r}, and this program knows {FORMAT!r}")
    return statement


def key_id(key: Ed25519PublicKey) -> str:
    """The name of a key, as everywhere in the protocol, in hex."""
    return sealing.key_id(key.public_bytes_raw()).hex()


def _read(raw: bytes) -> Any:  # noqa: ANN401 - a document whose form was checked
    if len(raw) > MAX_BYTES:
        raise Malformed(f"it has more than {MAX_BYTES} bytes: is this a statement?")
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError):
        raise Malformed("it is not whole, or not JSON: it was cut off or damaged") from None
    if not _has_its_members(document):
        raise Malformed("it is JSON, and not a statement of completeness")
    if canonical(document) + b"\n" != raw:
        raise Malformed("it is not in canonical form: somebody has written it anew, or a byte of it has changed")
    return document


def _has_its_members(document: object) -> bool:
    if not isinstance(document, dict) or document.keys() != {"statement", "signature"}:
        return False
    statement, signature = document["statement"], document["signature"]
    if not isinstance(statement, dict) or not isinstance(signature, dict):
        return False
    return signature.keys() == {"algorithm", "key", "value"} and all(isinstance(v, str) for v in signature.values())
