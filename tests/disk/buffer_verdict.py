"""What has to hold of a buffer that opens what a disk has kept: everything that was promised, once, and balanced."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from farshore_agent.buffer import Buffer
from farshore_agent.buffer.receipts import present
from farshore_agent.buffer.streams import StreamRow, all_streams
from farshore_agent.buffer.tail import Chunk, checked
from farshore_agent.errors import BufferFull
from farshore_protocol.batch import parse_batch
from farshore_protocol.columns import Dictionary, decode
from farshore_protocol.messages import Reason
from farshore_protocol.ranges import EMPTY, upto
from tests.agent.buffer.world import FakeHub, World, admitted, drain
from tests.disk.buffer_life import Life
from tests.disk.medium import Files
from tests.disk.promises import AtTheHub, Key

LIKE_ROT: Final = "1 of "
"""A page in the log that was not written, over one that differs in a single bit, cannot be told from one that has
rotted. Nobody was promised anything of it."""

Found = dict[Key, Any]


class Judge:
    """Judges what is left of one life; remembers what is in the batches, which never change."""

    def __init__(self, life: Life) -> None:
        self._life = life
        self._promises = life.promises
        self._batches: dict[bytes, list[dict[str, Any]]] = {}

    async def judge(self, files: Files, operation: int, folder: Path, *, to_the_end: bool) -> list[str]:
        """Put the files into the empty folder, open them, and name what is wrong.

        Args:
            files: what the disk has kept.
            operation: how many operations had been done to it.
            folder: where to look at it.
            to_the_end: also bring everything to the hub.
        """
        for name, content in files.items():
            (folder / name).write_bytes(content)
        world = copy.copy(self._life.world)
        world.path, world.vfs = folder / "buffer.db", None
        try:
            buffer = await world.open(sealing=to_the_end)
            try:
                return await self._faults(buffer, world, operation, to_the_end=to_the_end)
            finally:
                await buffer.close()
        except Exception as error:  # noqa: BLE001 - nothing may be wrong with what is there, in whatever way
            return [f"it fails: {type(error).__name__}: {error}"]

    async def _faults(self, buffer: Buffer, world: World, operation: int, *, to_the_end: bool) -> list[str]:
        repairs = [each for each in (await buffer.status()).repairs if not each.startswith(LIKE_ROT)]
        if repairs:
            return [f"it had to be repaired: {each}" for each in repairs]
        faults: list[str] = []
        there = self._promises.hub_at(operation)
        found = {key: record for row in self._streams(buffer) for key, record in self._held(buffer, row)}
        faults += self._unbalanced(buffer)
        faults += self._lost(buffer, found, there, operation)
        faults += self._foreign({**there.records, **found}, operation)
        faults += await self._checkpoint(buffer, operation)
        faults += await self._goes_on(buffer)
        if to_the_end and not faults:
            faults += await self._arrives(buffer, world, there, operation)
        return faults

    def _streams(self, buffer: Buffer) -> list[StreamRow]:
        return all_streams(buffer._store._database)

    def _held(self, buffer: Buffer, row: StreamRow) -> Iterator[tuple[Key, Any]]:
        """Every record of a stream that is really there, sealed or not."""
        database = buffer._store._database
        for *values, body in database.rows("tail_chunks", row.id):  # what was sealed as it came may lie between them
            chunk = Chunk(*values)
            for sequence, record in enumerate(checked(row, chunk, body).records(), chunk.first):
                yield (row.incarnation, row.name, sequence), record
        for first, last in database.rows("batch_ranges_of", row.id):
            raw = _blob(
                buffer,
                "SELECT o.raw FROM batches b JOIN bodies o ON o.batch = b.id WHERE b.stream = ? AND b.last = ?",
                row.id,
                last,
            )
            for sequence, record in enumerate(self._opened(buffer, raw), first):
                yield (row.incarnation, row.name, sequence), record

    def _opened(self, buffer: Buffer, raw: bytes) -> list[dict[str, Any]]:
        sealed = parse_batch(raw)
        if sealed.digest not in self._batches:
            keys, header = self._life.world.keys, sealed.header
            dictionary = None
            if header.dictionary:
                packed = parse_batch(
                    _blob(buffer, "SELECT raw FROM dictionaries WHERE dictionary = ?", header.dictionary)
                )
                dictionary = Dictionary(keys[packed.header.epoch].open(packed))
            self._batches[sealed.digest] = decode(keys[header.epoch].open(sealed), dictionary=dictionary).records()
        return self._batches[sealed.digest]

    def _unbalanced(self, buffer: Buffer) -> Iterator[str]:
        database = buffer._store._database
        for row in self._streams(buffer):
            if (row.acknowledged | row.given_up | row.held) != upto(row.head) or row.held & row.given_up:
                yield f"{row.name}: the account does not balance: {row}"
            if row.held - present(database, row.id):
                yield f"{row.name}: {row.held - present(database, row.id)} are not there"
            if database.the_row("chunk_totals", row.id) != (row.tail_records, row.tail_bytes):
                yield f"{row.name}: the tail's totals are wrong"
        if any(receipt[1] == Reason.DAMAGED.value for receipt in database.rows("receipt_totals")):
            yield "something counts as damaged"

    def _lost(self, buffer: Buffer, found: Found, there: AtTheHub, operation: int) -> Iterator[str]:
        given_up = {(row.incarnation, row.name): row.given_up for row in self._streams(buffer)}
        heads = {(row.incarnation, row.name): row.head for row in self._streams(buffer)}
        for key, serial in self._promises.records_by(operation).items():
            record = found.get(key) or there.records.get(key)
            is_given_up = key[2] in given_up.get(key[:2], EMPTY) or there.has_receipt(key) or key in there.forgotten
            if record is None and not is_given_up:
                yield f"lost: {key[1]} {key[2]}"
            if record is not None and record["n"] != serial:
                yield f"wrong: {key[1]} {key[2]} is {record['n']} and was {serial}"
            if key[2] > heads.get(key[:2], key[2]):
                yield f"lost: {key[1]} {key[2]} is behind the head"

    def _foreign(self, everything: Found, operation: int) -> Iterator[str]:
        """What is there twice, or was refused."""
        serials = [record["n"] for key, record in everything.items() if "." not in key[1]]
        for serial, times in Counter(serials).items():
            if times > 1:
                yield f"there {times} times: record {serial}"
            if self._promises.refused.get(serial, operation) < operation:
                yield f"refused and there: record {serial}"
            if serial not in self._promises.tried:
                yield f"never given: record {serial}"

    async def _checkpoint(self, buffer: Buffer, operation: int) -> list[str]:
        value = int(await buffer.load_checkpoint("file") or 0)
        promised = self._promises.checkpoint_by(operation)
        return [f"the checkpoint went back from {promised} to {value}"] if value < promised else []

    async def _goes_on(self, buffer: Buffer) -> list[str]:
        """The next life starts at 1, and what it takes is there."""
        try:
            answer = await buffer.append("evicting", admitted([{"ts": 0, "n": 0}]))
        except BufferFull:
            return []
        is_new = answer.first == 1 and all(key[0] != answer.incarnation for _, key, _ in self._promises.acknowledged)
        return [] if is_new else [f"a used sequence was given out: {answer}"]

    async def _arrives(self, buffer: Buffer, world: World, there: AtTheHub, operation: int) -> list[str]:
        """Bring everything to the hub; the hub itself complains when a record comes again and is another."""
        hub = FakeHub(world)
        hub.records, hub.receipted = dict(there.records), dict(there.receipted)
        hub.dictionaries, hub.life = dict(self._life.hub.dictionaries), self._life.world.random.token(8)
        await drain(buffer, hub)
        arrived = AtTheHub(hub.records, hub.receipted)
        missing = [
            key
            for key in self._promises.records_by(operation)
            if key not in arrived.records and not arrived.has_receipt(key) and key not in there.forgotten
        ]
        return [f"never arrives: {key[1]} {key[2]}" for key in missing]


def _blob(buffer: Buffer, sql: str, *values: int | bytes) -> bytes:
    [[found]] = buffer._store._database.connection.execute(sql, values).fetchall()
    assert isinstance(found, bytes)
    return found
