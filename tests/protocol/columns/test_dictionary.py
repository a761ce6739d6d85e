"""Dictionaries make batches of texts smaller and are needed to read them."""

from __future__ import annotations

import hashlib
import random
from typing import Any

import pytest
from hypothesis import given, settings

from farshore_protocol.columns import Columns, DecodeError, Dictionary, Effort, decode, encode, train_dictionary
from tests.protocol.columns.records import RECORDS, same


def log_lines(count: int, seed: int) -> Columns:
    draw = random.Random(seed)
    agents = [f"Agent/{random.Random(at).randrange(10**9)}.{at}" for at in range(40)]
    paths = [f"/pages/{random.Random(at).randbytes(6).hex()}/index.html" for at in range(60)]
    lines = [
        f'10.0.{draw.randrange(9)}.{draw.randrange(99)} "GET {(path := draw.choice(paths))} HTTP/1.1" 200 '
        f'{1000 + 7 * paths.index(path)} "{draw.choice(agents)}"'
        for _ in range(count)
    ]
    return Columns.from_records([{"message": line} for line in lines])


DICTIONARY = train_dictionary(log_lines(500, 1))


@pytest.mark.parametrize("effort", list(Effort))
def test_a_dictionary_makes_log_lines_smaller(effort: Effort) -> None:
    lines = log_lines(100, 2)
    with_dictionary = encode(lines, effort=effort, dictionary=DICTIONARY)
    assert len(with_dictionary) < 0.6 * len(encode(lines, effort=effort))
    assert decode(with_dictionary, dictionary=DICTIONARY) == lines


@settings(max_examples=40)
@given(RECORDS, RECORDS)
def test_a_dictionary_of_other_records_loses_nothing(first: list[dict[str, Any]], second: list[dict[str, Any]]) -> None:
    dictionary = train_dictionary(Columns.from_records(first))
    for records in (second, first):
        body = encode(Columns.from_records(records), dictionary=dictionary)
        assert same(decode(body, dictionary=dictionary).records(), records)


def test_a_batch_is_not_read_without_its_dictionary() -> None:
    body = encode(log_lines(10, 3), dictionary=DICTIONARY)
    with pytest.raises(DecodeError, match="dictionary"):
        decode(body)
    with pytest.raises(DecodeError, match="dictionary"):
        decode(body, dictionary=train_dictionary(log_lines(500, 4)))


def test_a_batch_that_needs_no_dictionary_is_read_with_one() -> None:
    lines = log_lines(10, 3)
    assert decode(encode(lines), dictionary=DICTIONARY) == lines


def test_a_dictionary_is_named_by_its_content() -> None:
    assert DICTIONARY.id == hashlib.sha256(DICTIONARY.content).digest()[:8]
    assert Dictionary(DICTIONARY.content) == DICTIONARY


def test_a_dictionary_keeps_to_its_size() -> None:
    assert len(train_dictionary(log_lines(2000, 5), max_bytes=5000).content) <= 5000


def test_garbage_is_no_dictionary() -> None:
    body = encode(log_lines(10, 3), dictionary=DICTIONARY)
    garbage = Dictionary(b"garbage")
    forged = body[:2] + garbage.id[:4] + body[6:]
    with pytest.raises(DecodeError):
        decode(forged, dictionary=garbage)
    with pytest.raises(ValueError, match="version"):
        encode(log_lines(10, 3), dictionary=garbage)
