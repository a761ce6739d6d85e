"""Writes the vectors of the columnar codec: `python -m tests.protocol.vectors.columns.make`.

The bodies are what this version of the encoder writes. Others may write other bytes; what they must do is read these.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from farshore_protocol.columns import VERSION, Columns, Dictionary, Effort, encode, floats, integers, texts
from farshore_protocol.columns.plan import Choice, Packing
from farshore_protocol.columns.sections import Sections, pack
from farshore_protocol.columns.texts import write_text
from farshore_protocol.columns.values import Kind
from farshore_protocol.columns.writer import Writer
from tests.protocol.columns.records import float_of_bits
from tests.protocol.columns.tagged import to_json
from tests.protocol.columns.test_round_trip import sensor

HERE = Path(__file__).parent
UNCOMPRESSED = Packing(0, 0)

INTEGERS: dict[str, tuple[tuple[int, ...], list[Any]]] = {
    "const": ((integers.CONST,), [-7] * 5),
    "linear": ((integers.LINEAR,), [10, 7, 4, 1]),
    "raw": ((integers.RAW,), [1000, 70_000, 1000, 1001]),
    "raw, 64 bits": ((integers.RAW,), [-(2**63), 2**63 - 1, 0]),
    "delta": ((integers.DELTA,), [5, 4, 300, -40_000, 5]),
    "delta of differences": ((integers.DELTA2,), [0, 10, 21, 33, -400, 5]),
    "table": ((integers.TABLE,), [500, -3, 500, 10**9, -3, 500]),
    "scaled": ((integers.SCALED,), [7, 307, 1007, 107]),
}
FLOATS: dict[str, tuple[tuple[int, ...], list[Any]]] = {
    "const": ((floats.CONST,), [-0.0] * 3),
    "scaled": ((floats.SCALED, 1, 0, 2), [20.25, -3.5, 1e6]),
    "scaled, binary": ((floats.SCALED, 1, 1, 22), [2.0**-22, 0.5, 3.0]),
    "scaled, means": ((floats.SCALED, 3, 0, 1), [1 / 3, 20.1, 7 / 30]),
    "near": (
        (floats.NEAR, 1, 0, 3),
        [51.846000000000004, 44.508, 94.79799999999999, 0.001, float_of_bits(0x7FF8000000000ABC)],
    ),
    "rounded": ((floats.ROUNDED, 3, 0, 0), [0.333333333333333, 1.66666666666667, 2.0]),
    "bits": ((floats.BITS,), [0.1, -1e300, float("inf")]),
    "bits, 32": ((floats.BITS,), [0.5, 868.2999877929688]),
    "xor": ((floats.XOR,), [0.1, 0.2, 0.2]),
    "table": ((floats.TABLE,), [0.1, 1e-9, 0.1, 0.1]),
    "ordered": ((floats.ORDERED,), [0.1, -0.1, 5e-324, 0.0]),
}
TEXTS: dict[str, tuple[tuple[int, ...], list[Any]]] = {
    "const": ((texts.CONST,), ["Zürich"] * 3),
    "table": ((texts.TABLE,), ["on", "off", "on", "on", "off"]),
    "split": ((texts.SPLIT, 2, 2), ["a/1/x", "b/22/x", "c/3/x"]),
    "digits": ((texts.DIGITS,), ["0", "17", "123456789012345678"]),
    "padded": ((texts.PADDED,), ["007", "100", "000"]),
    "time": ((texts.TIME, 0, 1, 0, 0), ["2014-04-10 00:04:00", "2014-04-10 00:09:00", "0001-01-01 00:00:00"]),
    "time, fraction": ((texts.TIME, 0, 0, 3, 1), ["2024-02-29T23:59:59.999Z", "1969-12-31T23:59:59.001Z"]),
    "time, log": ((texts.TIME, 1, 2, 0, 3), ["17/May/2015:10:05:03 +0000", "18/May/2015:00:00:59 +0000"]),
    "hex": ((texts.HEX,), ["00ff", "beef", "0123"]),
    "affixed": ((texts.AFFIXED,), ["<a>", "<bc>", "<>"]),
    "lines": ((texts.LINES,), ["", "\ud800", "日本"]),
    "sized": ((texts.SIZED,), ["a\nb", "", "\n"]),
}


def main() -> None:
    """Write all files."""
    for name, kind, module, cases in (
        ("integers", Kind.INT, integers, INTEGERS),
        ("floats", Kind.FLOAT, floats, FLOATS),
        ("texts", Kind.STR, texts, TEXTS),
    ):
        _write(name, [_forced(case, kind, module, *given) for case, given in cases.items()])
    _write("batches", list(_batches()))


def _forced(name: str, kind: Kind, module: ModuleType, pick: tuple[int, ...], values: list[Any]) -> dict[str, Any]:
    """A batch of one column in a given encoding, uncompressed."""
    out = Writer()
    out.uint(len(values))
    out.uint(0)
    out.uint(1)
    write_text(out, "a")
    out.uint(kind)
    choice = Choice()
    choice.picked = pick
    if not module._ATTEMPTS[pick[0]](out, values, choice):
        raise SystemExit(f"{name} does not fit its values")
    streams = Sections(bytes(out.structure), b"".join(out.text), b"".join(out.planes))
    packed, _ = pack(streams, Effort.FAST, b"", UNCOMPRESSED)
    return _case(name, [{"a": value} for value in values], bytes((VERSION,)) + packed, None)


def _batches() -> Iterator[dict[str, Any]]:
    mixed: list[dict[str, Any]] = [
        {},
        {"a": None},
        {"a": 1},
        {"a": 1.0},
        {"a": True},
        {"a": "1"},
        {"a": b"1"},
        {"a": 2**64},
    ]
    mixed += [{"a": [1, [2.5, {"k": None}]], "$b": {}}, {"a": {"k": "\udfff"}, "\ud800": []}]
    grouped = [{"device": f"d{at % 3}", "n": 1000 * (at % 3) + at, "port": 80 + at % 3} for at in range(60)]
    predicted = [{"user": f"u{at * at % 11}", "agent": f"agent {at * at % 11 // 2}, long"} for at in range(60)]
    small = sensor(40)
    dictionary = Dictionary(encode(Columns.from_records(sensor(40, seed=1)), effort=Effort.SMALL))
    cases: list[tuple[str, list[dict[str, Any]], Effort, Dictionary | None]] = [
        ("no records", [], Effort.FAST, None),
        ("no keys", [{}, {}], Effort.FAST, None),
        ("every kind", mixed, Effort.FAST, None),
        ("grouped", grouped, Effort.FAST, None),
        ("predicted", predicted, Effort.FAST, None),
        ("zstd", small, Effort.FAST, None),
        ("lzma", small, Effort.SMALL, None),
        ("dictionary", small, Effort.SMALL, dictionary),
    ]
    for name, records, effort, needed in cases:
        body = encode(Columns.from_records(records), effort=effort, dictionary=needed)
        yield _case(name, records, body, needed)


def _case(name: str, records: list[dict[str, Any]], body: bytes, dictionary: Dictionary | None) -> dict[str, Any]:
    return {
        "name": name,
        "records": to_json(records),
        "dictionary": dictionary.content.hex() if dictionary else None,
        "body": body.hex(),
    }


def _write(name: str, cases: list[dict[str, Any]]) -> None:
    (HERE / f"{name}.json").write_text("[\n" + ",\n".join(map(json.dumps, cases)) + "\n]\n")


if __name__ == "__main__":
    main()
