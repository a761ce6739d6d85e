"""The model of a disk: what is synced stays, what is not may go, tear, or reach the disk before what came earlier."""

from __future__ import annotations

import random

from tests.disk.medium import SECTOR_BYTES, Files, Kind, Medium, Operation

DRAWS = 400
OPEN, SYNC = Operation(Kind.OPEN, "a"), Operation(Kind.SYNC, "a")


def write(at: int, data: bytes) -> Operation:
    return Operation(Kind.WRITE, "a", at, data)


def left(*operations: Operation) -> list[Files]:
    """The different contents that the power can leave."""
    medium = Medium()
    for operation in operations:
        medium.apply(operation)
    found = {frozenset(medium.after_power_loss(random.Random(draw)).items()) for draw in range(DRAWS)}
    return sorted(map(dict, found), key=str)


def test_what_was_synced_stays() -> None:
    assert left(OPEN, write(0, b"one"), SYNC) == [{"a": b"one"}]


def test_what_was_not_synced_may_go_with_its_file() -> None:
    assert left(OPEN, write(0, b"one")) == [{"a": b""}, {"a": b"one"}, {}]


def test_the_later_write_may_reach_the_disk_alone() -> None:
    contents = [files["a"] for files in left(OPEN, SYNC, write(0, b"1"), write(1, b"2"))]
    assert contents == [b"", b"1", b"12", bytes([0]) + b"2"]


def test_a_write_may_tear_at_the_border_of_a_sector() -> None:
    old, new = b"-" * 2 * SECTOR_BYTES, b"+" * 2 * SECTOR_BYTES
    contents = {files["a"] for files in left(OPEN, write(0, old), SYNC, write(0, new))}
    half = SECTOR_BYTES
    assert contents == {old, new, old[:half] + new[half:], new[:half] + old[half:]}


def test_a_deletion_and_a_truncation_may_not_have_happened() -> None:
    shorter = Operation(Kind.TRUNCATE, "a", 1)
    assert left(OPEN, write(0, b"one"), SYNC, shorter) == [{"a": b"o"}, {"a": b"one"}]
    gone = Operation(Kind.DELETE, "a")
    assert left(OPEN, write(0, b"one"), SYNC, gone) == [{"a": b"one"}, {}]


def test_after_a_sync_that_failed_nothing_brings_the_writes_to_the_disk() -> None:
    forget = Operation(Kind.FORGET, "a")
    assert left(OPEN, SYNC, write(0, b"one"), forget, SYNC) == [{"a": b""}]
