"""Plays a fleet to the hub's posting and store, lets everything go wrong, and holds the gaps against the truth."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from random import Random
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Engine, func, insert, select

from farshore_hub.ledger.completeness import AccountRow, completeness
from farshore_hub.ledger.thinning import DAY_US, day_end
from farshore_hub.rebuild import rebuild
from farshore_hub.receive.posting import post
from farshore_hub.receive.verify import VerifiedBatch, VerifiedParcel
from farshore_hub.store import migrate
from farshore_hub.store.accounts import read_accounts
from farshore_hub.store.audit import want_again
from farshore_hub.store.days import unpack_day
from farshore_hub.store.engine import fold_log, open_engine, reading, writing
from farshore_hub.store.facts import accounts_at
from farshore_hub.store.fleet import Site, SiteState
from farshore_hub.store.schema import account_days, accounts, batches, claims, sites
from farshore_hub.store.thinning import thin_some
from farshore_protocol.batch import BatchHeader, Kind
from farshore_protocol.hours import Hours, to_wire
from farshore_protocol.messages import Claim, Reason, Receipt, Statement
from farshore_protocol.ranges import RangeSet
from tests.ledger.fleet import START_US, Piece, Stream, fleet, hours, ranges

GROUP: Final = 64
_SIGNER: Final = Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key()


class Play:
    """One seed. `wrong` is what the hub says and is not so."""

    def __init__(self, seed: int, count: int, folder: Path) -> None:
        self._random = Random(seed)
        self._database = folder / "hub.db"
        self._streams = fleet(self._random, count)
        self.claims = 0, 0
        self._number = 0
        self._again: list[tuple[Stream, Piece]] = []
        self._unretained: list[tuple[Stream, Piece]] = []
        self._now_us = START_US
        self._engine = self._open()
        migrate.upgrade(self._engine)
        self._sites = {name: self._add_site(name) for name in dict.fromkeys(each.site for each in self._streams)}

    def run(self) -> list[str]:
        """Deliver everything in halves, restore the hub in between or not, let stored bytes rot; what is wrong then."""
        self._deliver(lambda piece: not piece.late)
        midnight_us, then = self._midnight()
        backup = self._backup() if self._random.random() < 0.5 else None
        known = [set(each.stored) for each in self._streams]
        self._deliver(lambda piece: piece.late)
        if backup:
            self._restore(backup, known)
        self._rot()
        self._ask_again()
        wrong = [*self._wrong_gaps(), *self._wrong_hours()]
        self._thin()
        if self._as_of(midnight_us) != then:
            wrong.append("after thinning, a midnight is not as it was known then")
        wrong += [f"made again from its facts: {each}" for each in rebuild(self._engine, self._now_us, write=False)]
        self._engine.dispose()
        return wrong

    def _open(self) -> Engine:
        engine = open_engine(f"sqlite:///{self._database}")
        fold_log(engine)
        return engine

    def _add_site(self, name: str) -> Site:
        row = {"name": name, "state": "active", "signing_key": bytes(32), "created_us": 0}
        with writing(self._engine) as connection:
            connection.execute(insert(sites).values(row))
            key = connection.scalar(select(sites.c.id).where(sites.c.name == name)) or 0
        return Site(key, name, SiteState.ACTIVE, bytes(32), 0, None, None, None, None, None)

    def _deliver(self, goes: Callable[[Piece], bool]) -> None:
        """Each site sends its pieces, some twice, some as a clone has them, in any order."""
        sent = {
            id(stream): [each for each in stream.pieces if each.fate in ("delivered", "twice") and goes(each)]
            for stream in self._streams
        }
        twice = [(site, of) for site, of in self._by_site() for _ in range(self._random.randint(1, 2))]
        parcels = [self._parcel(site, of, sent) for site, of in twice]
        self._random.shuffle(parcels)
        self._post(parcels)

    def _by_site(self) -> Iterator[tuple[str, list[Stream]]]:
        return ((site, list(of)) for site, of in groupby(self._streams, key=lambda each: each.site))

    def _parcel(self, site: str, of: list[Stream], sent: dict[int, list[Piece]]) -> VerifiedParcel:
        brought, claims, receipts = [], [], []
        told: dict[tuple[bytes, str, int], Hours] = {}
        for stream in of:
            for piece in sent[id(stream)]:
                copies = ["", *([""] if piece.fate == "twice" else []), *(["clone"] if piece.cloned else [])]
                brought += [_batch(stream, piece, says) for says in copies]
                told[stream.incarnation, stream.name, piece.first] = hours(piece.first, piece.last)
                stream.stored |= piece.span
            for piece in stream.pieces:
                if piece.fate == "evicted":
                    stream.receipted |= piece.span
                    receipts.append(_receipt(stream, piece.first, piece.last, Reason.EVICTED))
            # What has not been sent yet is held.
            held = stream.held | {
                each
                for piece in stream.pieces
                if piece.fate in ("delivered", "twice")
                for each in piece.span - stream.stored
            }
            claims.append(_claim(stream, held))
        self._number += 1
        statement = Statement(site, bytes(8), self._number, self._now_us, [each for each, _ in claims], receipts)
        return VerifiedParcel(self._sites[site], _SIGNER, statement, claims, 1, hours=told, batches=brought)

    def _post(self, parcels: list[VerifiedParcel]) -> None:
        for at in range(0, len(parcels), GROUP):
            self._now_us += 1_000_000
            with writing(self._engine) as connection:
                post(connection, parcels[at : at + GROUP], self._now_us)

    def _midnight(self) -> tuple[int, list[AccountRow]]:
        """A day ends; what is known then."""
        self._now_us = day_end(self._now_us + 1)
        return self._now_us, self._as_of(self._now_us)

    def _as_of(self, at_us: int) -> list[AccountRow]:
        with reading(self._engine) as connection:
            # When a site was heard is noted at the door, which these parcels do not come through.
            return [replace(each, heard_us=None) for each in accounts_at(connection, at_us)]

    def _thin(self) -> None:
        """All days are long over; how many claims there were, and are, is `claims`."""
        before = self._count()
        long_after_us = self._now_us + 2 * DAY_US
        with writing(self._engine) as connection:
            while thin_some(connection, day_end(self._now_us), long_after_us):
                pass
        self.claims = before, self._count()

    def _count(self) -> int:
        with reading(self._engine) as connection:
            return connection.scalar(select(func.count()).select_from(claims)) or 0

    def _backup(self) -> Path:
        fold_log(self._engine)
        return Path(shutil.copy(self._database, self._database.with_suffix(".backup")))

    def _restore(self, backup: Path, known: list[set[int]]) -> None:
        """The hub is what it was; sites send again what they kept, with receipts for half of what they did not."""
        self._engine.dispose()
        for suffix in ("", "-wal", "-shm"):
            self._database.with_name(self._database.name + suffix).unlink(missing_ok=True)
        shutil.copy(backup, self._database)
        self._engine = self._open()
        for stream, stored in zip(self._streams, known, strict=True):
            lost, stream.stored = stream.stored - stored, stored
            self._recover(stream, lost)

    def _recover(self, stream: Stream, lost: set[int]) -> None:
        for piece in stream.pieces:
            if not piece.span & lost:
                continue
            if piece.kept:
                self._again.append((stream, piece))
            elif self._random.random() < 0.5:
                stream.receipted |= piece.span
                self._unretained.append((stream, piece))

    def _rot(self) -> None:
        """Bytes of stored batches rot, an audit finds it, and their sites send again what they kept."""
        rotten = {
            (each.site, each.incarnation, piece.first): (each, piece)
            for each in self._streams
            for piece in each.pieces
            if piece.rots and piece.span <= each.stored
        }
        of = select(batches.c.id, sites.c.name, accounts.c.incarnation, batches.c.first)
        of = of.join_from(batches, accounts, batches.c.account_id == accounts.c.id)
        with reading(self._engine) as connection:
            rows = connection.execute(of.join(sites, sites.c.id == accounts.c.site_id)).all()
        with writing(self._engine) as connection:
            for id_, site, life, first in rows:
                if (site, bytes(life), first) in rotten:
                    stream, piece = rotten[site, bytes(life), first]
                    self._now_us += 1
                    assert want_again(connection, id_, self._now_us)
                    stream.stored -= piece.span
                    self._recover(stream, piece.span)

    def _ask_again(self) -> None:
        sent: dict[int, list[Piece]] = {id(each): [] for each in self._streams}
        for stream, piece in self._again:
            sent[id(stream)].append(piece)
        parcels = []
        for site, of in self._by_site():
            parcel = self._parcel(site, of, sent)
            # The last word on what is held: what went down with the restored hub or rotted is not.
            parcel.claims = [_claim(each, each.held) for each in of]
            receipts = [
                _receipt(stream, piece.first, piece.last, Reason.UNRETAINED, known=False)
                for stream, piece in self._unretained
                if stream.site == site
            ]
            parcel.statement.receipts.extend(receipts)
            parcels.append(parcel)
        self._post(parcels)

    def _wrong_gaps(self) -> Iterator[str]:
        with reading(self._engine) as connection:
            lines = completeness(read_accounts(connection), now_us=0, silent_after_us=2**62)
        found = {(line.site, gap.stream, gap.incarnation, gap.first, gap.last) for line in lines for gap in line.gaps}
        true = {
            (each.site, each.name, each.incarnation, first, last)
            for each in self._streams
            for first, last in ranges(each.missing)
        }
        yield from (f"not found: {each}" for each in sorted(true - found))
        yield from (f"found falsely: {each}" for each in sorted(found - true))

    def _wrong_hours(self) -> Iterator[str]:
        """Every account's hours against the truth, where receipts have told theirs."""
        totals: dict[int, list[int]] = {}
        with reading(self._engine) as connection:
            for at, raw in connection.execute(select(account_days.c.account_id, account_days.c.counts)):
                day, total = unpack_day(raw), totals.setdefault(at, [0, 0, 0, 0])
                sums = (sum(day.known), sum(day.stored), sum(day.shed), sum(day.gap))
                total[:] = [one + other for one, other in zip(total, sums, strict=True)]
            of_site = select(accounts, sites.c.name).join(sites, sites.c.id == accounts.c.site_id)
            rows = connection.execute(of_site).all()
        streams = {(each.site, each.incarnation, each.name): each for each in self._streams}
        for row in rows:
            of = streams[row.name, bytes(row.incarnation), row.stream]
            receipted = of.receipted - of.stored
            true = [of.head, len(of.stored), len(receipted), len(of.missing)]
            if totals.get(row.id) != true:
                yield f"{of.site} {of.name}: its hours add up to {totals.get(row.id)}, and it is {true}"


def _batch(stream: Stream, piece: Piece, says: str) -> VerifiedBatch:
    count = piece.last - piece.first + 1
    header = BatchHeader(Kind.RECORDS, stream.incarnation, bytes(8), 0, stream.name, piece.first, count)
    content = hashlib.sha256(f"{stream.site} {stream.name} {piece.first} {says}".encode() + stream.incarnation).digest()
    return VerifiedBatch(header, content[:16], content[16:], b"rotten, if anybody looks")


def _claim(stream: Stream, held: Iterable[int]) -> tuple[Claim, RangeSet]:
    ranges_held = RangeSet.of(*ranges(set(held)))
    told = to_wire(hours(1, stream.head))
    claim = Claim(stream.incarnation, stream.name, stream.head, ranges_held.to_wire(), hours=told)
    return claim, ranges_held


def _receipt(stream: Stream, first: int, last: int, reason: Reason, *, known: bool = True) -> Receipt:
    told = to_wire(hours(first, last)) if known else []
    return Receipt(stream.incarnation, stream.name, first, last, reason, 0, hours=told)
