"""The disk of the power cuts: it forgets what was not flushed, never what was, and speaks enough NBD for QEMU."""

from __future__ import annotations

import random
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.powercut.disk import SECTOR_BYTES, PoweredOff, VolatileDisk
from tests.powercut.nbd import serve

SECTORS = 64
OLD, NEW, NEWER = (bytes([number]) * SECTOR_BYTES for number in (1, 2, 3))


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "disk.img"
    path.write_bytes(OLD * SECTORS)
    return path


def _disk(image: Path, seed: int = 0) -> VolatileDisk:
    return VolatileDisk(image, random.Random(seed))


def _sectors(image: Path) -> list[bytes]:
    content = image.read_bytes()
    return [content[at : at + SECTOR_BYTES] for at in range(0, len(content), SECTOR_BYTES)]


def test_what_was_written_is_read_back_before_and_after_a_flush(image: Path) -> None:
    with _disk(image) as disk:
        disk.write(SECTOR_BYTES, NEW * 2)
        assert disk.read(0, 4 * SECTOR_BYTES) == OLD + NEW * 2 + OLD
        disk.flush()
        assert disk.read(0, 4 * SECTOR_BYTES) == OLD + NEW * 2 + OLD


@pytest.mark.parametrize("seed", range(20))
def test_what_was_flushed_survives_a_power_cut(image: Path, seed: int) -> None:
    with _disk(image, seed) as disk:
        disk.write(0, NEW * 8)
        disk.flush()
        disk.write(8 * SECTOR_BYTES, NEW * 8, through=True)
        disk.cut_power()
    assert _sectors(image)[:16] == [NEW] * 16


def test_of_what_was_not_flushed_any_part_may_be_gone_and_any_part_there(image: Path) -> None:
    survivors = set()
    for seed in range(50):
        image.write_bytes(OLD * SECTORS)
        with _disk(image, seed) as disk:
            disk.write(0, NEW * 8)
            cut = disk.cut_power()
        found = _sectors(image)
        assert set(found[:8]) <= {OLD, NEW}
        assert (found[:8].count(NEW), found[:8].count(OLD)) == (cut.survived, cut.lost)
        survivors.add(tuple(content == NEW for content in found[:8]))
    assert len(survivors) > 20, "torn in many ways"
    assert {sum(each) for each in survivors} >= {0, 8}, "also nothing of it, and all of it"


def test_an_older_content_of_the_cache_may_be_what_survives(image: Path) -> None:
    found = set()
    for seed in range(50):
        image.write_bytes(OLD * SECTORS)
        with _disk(image, seed) as disk:
            disk.write(0, NEW)
            disk.write(0, NEWER)
            disk.cut_power()
        found.add(_sectors(image)[0])
    assert found == {OLD, NEW, NEWER}


def test_a_disk_without_power_answers_nothing_until_it_has_power_again(image: Path) -> None:
    with _disk(image) as disk:
        disk.cut_power()
        for ask in (lambda: disk.read(0, SECTOR_BYTES), lambda: disk.write(0, NEW), disk.flush):
            with pytest.raises(PoweredOff):
                ask()
        disk.power_on()
        disk.write(0, NEW)
        assert disk.read(0, SECTOR_BYTES) == NEW


@pytest.mark.parametrize("operations", range(4))
def test_the_power_goes_in_the_middle_of_the_chosen_operation(image: Path, operations: int) -> None:
    with _disk(image) as disk:
        disk.cut_power_after(operations)
        for number in range(operations):
            disk.write(number * SECTOR_BYTES, NEW)
        with pytest.raises(PoweredOff):
            disk.write(operations * SECTOR_BYTES, NEW)
        cut = disk.cut_power()
        assert not disk.has_power
        assert cut.lost + cut.survived == operations + 1, "the cut that has been, with the write that was under way"


# ------------------------------------------------------------------ over NBD


@pytest.fixture
def client(image: Path) -> Iterator[socket.socket]:
    """Somebody who is connected to the disk and has agreed on the export."""
    ours, its = socket.socketpair()
    with closing(ours), _disk(image) as disk:
        thread = threading.Thread(target=_serve_until_it_ends, args=(disk, its))
        thread.start()
        _agree(ours)
        yield ours
        ours.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_a_disk_without_power_answers_nothing_and_reports_no_error(image: Path) -> None:
    ours, its = socket.socketpair()
    with closing(ours), _disk(image) as disk:
        thread = threading.Thread(target=_serve_until_it_ends, args=(disk, its))
        thread.start()
        _agree(ours)
        disk.cut_power()
        ours.sendall(struct.pack(">IHHQQI", 0x25609513, 0, 3, 7, 0, 0) * 3)
        ours.shutdown(socket.SHUT_WR)
        thread.join()
        assert ours.recv(1) == b"", "nothing was sent before the end"


def _serve_until_it_ends(disk: VolatileDisk, its: socket.socket) -> None:
    with its:
        try:
            serve(disk, its)
        except OSError:
            return


def _agree(client: socket.socket) -> None:
    client.settimeout(30)
    assert _receive(client, 18)[:16] == b"NBDMAGICIHAVEOPT"
    client.sendall(struct.pack(">I", 1))
    client.sendall(struct.pack(">8sII", b"IHAVEOPT", 8, 0))
    assert _receive(client, 20)[12:16] == struct.pack(">I", 2**31 + 1), "structured replies are not supported"
    client.sendall(struct.pack(">8sII4sH", b"IHAVEOPT", 7, 6, bytes(4), 0))
    size, flags = struct.unpack(">QH", _receive(client, 20 + 12)[22:])
    assert (size, flags) == (SECTORS * SECTOR_BYTES, 0b1101)
    _receive(client, 20)


def _receive(client: socket.socket, count: int) -> bytes:
    received = client.recv(count, socket.MSG_WAITALL)
    assert len(received) == count
    return received


def _ask(
    client: socket.socket, kind: int, offset: int = 0, count: int = 0, content: bytes = b"", flags: int = 0
) -> int:
    client.sendall(struct.pack(">IHHQQI", 0x25609513, flags, kind, 7, offset, count) + content)
    magic, error, cookie = struct.unpack(">IIQ", _receive(client, 16))
    assert (magic, cookie) == (0x67446698, 7)
    return int(error)


def test_qemu_s_requests_are_answered(client: socket.socket, image: Path) -> None:
    assert _ask(client, 1, SECTOR_BYTES, SECTOR_BYTES, NEW) == 0
    assert _sectors(image)[1] == OLD, "it is in the cache"
    assert _ask(client, 0, 0, 2 * SECTOR_BYTES) == 0
    assert _receive(client, 2 * SECTOR_BYTES) == OLD + NEW
    assert _ask(client, 3) == 0
    assert _sectors(image)[1] == NEW
    assert _ask(client, 1, 0, SECTOR_BYTES, NEWER, flags=1) == 0
    assert _sectors(image)[0] == NEWER, "a write with FUA is on the platter"


def test_a_request_beyond_the_disk_or_unknown_is_an_error_and_the_next_one_is_answered(client: socket.socket) -> None:
    assert _ask(client, 0, SECTORS * SECTOR_BYTES, SECTOR_BYTES) != 0
    assert _ask(client, 0, 1, SECTOR_BYTES) != 0
    assert _ask(client, 4, 0, SECTOR_BYTES) != 0
    assert _ask(client, 3) == 0
