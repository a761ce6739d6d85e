"""Signed statements: what they say, that anybody can verify them, and that nothing else passes."""

from __future__ import annotations

import hashlib
import json
import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from farshore_hub.audit.canonical import canonical, sign, verify
from farshore_hub.errors import HubError, Malformed, NotAuthentic
from farshore_hub.opening import open_hub
from farshore_hub.store.engine import reading
from farshore_hub.store.schema import batches
from tests.hub.cli.conftest import Run, folder, run
from tests.hub.cli.test_commands import imported
from tests.hub.web.parcels import Sender

__all__ = ["folder", "imported", "run"]

DOCS = Path(__file__).parents[3] / "docs" / "statement-format.md"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
STATEMENT = {"format": "farshore-statement-1", "site": "zürich", "streams": [{"stored": [[1, 10]], "closed": False}]}
FROM, TO = "2020-01-01T00:00Z", "2099-01-01T00:00Z"


def exported(run: Run, path: Path) -> bytes:
    said = run("statement", "export", "--site", "pump-1", "--from", FROM, "--to", TO, "-o", path)
    assert said.exit_code == 0, said.err
    return path.read_bytes()


def test_a_statement_says_what_the_ledger_says(run: Run, folder: Path, imported: Sender, tmp_path: Path) -> None:
    raw = exported(run, tmp_path / "s.json")
    [line] = json.loads(raw)["statement"]["streams"]
    assert line["stream"] == "boiler"
    assert line["incarnation"] == imported.incarnation.hex()
    assert line["counts"] == {"produced": 6, "stored": 4, "shed": 0, "pending": 0, "gap": 2}
    assert (line["stored"], line["gaps"], line["pending"]) == ([[1, 4]], [[5, 6]], [])
    assert line["losses"] == [{"first": 5, "last": 6, "cause": "unknown", "state": "missing", "since_us": None}]
    assert line["received"] | {"digest": ""} == {"batches": 1, "records": 4, "ranges": [[1, 4]], "digest": ""}
    assert line["received"]["digest"] == hashlib.sha256(struct.pack(">QI", 1, 4) + imported_content(folder)).hexdigest()


def imported_content(folder: Path) -> bytes:
    with open_hub(folder) as hub, reading(hub.engine) as connection:
        return bytes(connection.scalars(select(batches.c.content_digest)).one())


def test_what_came_in_another_period_is_not_in_it(run: Run, folder: Path, imported: Sender, tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    args = ("statement", "export", "--site", "pump-1", "-o", path)
    assert run(*args, "--from", "2020-01-01T00:00Z", "--to", "2020-02-01T00:00Z").exit_code == 0
    [line] = json.loads(path.read_bytes())["statement"]["streams"]
    assert (line["received"]["records"], line["counts"]["stored"]) == (0, 4)
    assert run(*args, "--from", TO, "--to", FROM).exit_code == 5
    assert run("statement", "export", "--site", "x", "--from", FROM, "--to", TO, "-o", path).exit_code == 6


def test_a_statement_is_verified_without_a_hub_and_as_the_page_says_without_farshore(
    run: Run, folder: Path, imported: Sender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    statement, key = tmp_path / "s.json", tmp_path / "hub.pem"
    exported(run, statement)
    key.write_text(run("statement", "key").out)
    for deed in (("rotate", "signing", "--no-backup"), ("retire", "signing", "--yes")):
        assert run("keys", *deed).exit_code == 0
    exported(run, tmp_path / "later.json")
    later = tmp_path / "later.pem"
    later.write_text(run("statement", "key").out)
    assert later.read_text().endswith(key.read_text())
    folder.rename(tmp_path / "gone")
    for made in (statement, tmp_path / "later.json"):
        assert run("statement", "verify", made, "--key", later).out.startswith("genuine: ")
    assert run("statement", "verify", tmp_path / "later.json", "--key", key).exit_code == 5
    assert run("statement", "verify", statement, "--key", key).out.startswith("genuine: ")
    assert run("statement", "verify", statement, "--key", key, "--json").json["site"] == "pump-1"
    [script] = re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)
    (tmp_path / "ten_lines.py").write_text(script)

    def by_ten_lines() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-I", *map(str, (tmp_path / "ten_lines.py", statement, key))]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    done = by_ten_lines()
    assert (done.returncode, done.stdout) == (0, "genuine: pump-1\n"), done.stderr
    statement.write_bytes(statement.read_bytes().replace(b'"stored":4', b'"stored":5'))
    assert by_ten_lines().returncode != 0
    assert run("statement", "verify", statement, "--key", key).exit_code == 5


def test_another_hubs_key_is_named(run: Run, folder: Path, imported: Sender, tmp_path: Path) -> None:
    exported(run, tmp_path / "s.json")
    pem = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "other.pem").write_bytes(pem)
    said = run("statement", "verify", tmp_path / "s.json", "--key", tmp_path / "other.pem")
    assert said.exit_code == 5
    assert "it was signed with the key" in said.err
    (tmp_path / "other.pem").write_bytes(b"no key")
    assert run("statement", "verify", tmp_path / "s.json", "--key", tmp_path / "other.pem").exit_code == 5


def test_every_changed_byte_and_every_truncation_is_refused() -> None:
    raw = sign(STATEMENT, KEY)
    assert verify(raw, KEY.public_key()) == STATEMENT
    for at in range(len(raw)):
        for flip in (0x01, 0x20, 0x80):
            changed = raw[:at] + bytes((raw[at] ^ flip,)) + raw[at + 1 :]
            with pytest.raises((Malformed, NotAuthentic)):
                verify(changed, KEY.public_key())
        with pytest.raises(Malformed):
            verify(raw[:at], KEY.public_key())


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "not whole"),
        (b"[" * 100_000, "not whole"),
        (b"[]\n", "not a statement"),
        (b'{"signature":{},"statement":{}}\n', "not a statement"),
        (json.dumps(json.loads(sign(STATEMENT, KEY)), indent=1).encode(), "canonical"),
        (sign(STATEMENT, KEY) + b"\n", "canonical"),
        (sign({"format": "farshore-statement-2"}, KEY), "format"),
    ],
)
def test_what_is_no_statement_is_refused_with_the_reason(raw: bytes, why: str) -> None:
    with pytest.raises(Malformed, match=why):
        verify(raw, KEY.public_key())


@given(st.binary(max_size=200))
def test_no_bytes_do_more_than_be_refused(raw: bytes) -> None:
    with pytest.raises(HubError):
        verify(raw, KEY.public_key())


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(values)
def test_canonical_json_has_one_form(value: object) -> None:
    assert canonical(json.loads(canonical(value))) == canonical(value)
