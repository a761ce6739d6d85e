"""Flips one bit of a buffer's file or of its log, again and again: `make bitrot FLIPS=… SEED=…`.

After each flip the store is opened as the agent does it at a start, and everything is brought to the hub: each record
that was acknowledged arrives as it was, or has a receipt.
"""

from __future__ import annotations

import asyncio
import logging
import random
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

import click

from farshore_agent.errors import BufferBroken
from tests.agent.buffer.damaged import PAGE, Made, assert_accounted_for, make, started
from tests.disk.remembered import checksums_remembered
from tests.disk.scratch import scratch

DATABASE: Final = "buffer.db"
LOG: Final = "buffer.db-wal"
SHOWN: Final = 5
REPAIRS: Final = 3


class Flip(NamedTuple):
    """One bit of a file, counted from its beginning."""

    file: str
    bit: int

    def do(self, folder: Path) -> None:
        """Flip it."""
        path = folder / self.file
        raw = bytearray(path.read_bytes())
        raw[self.bit // 8] ^= 1 << self.bit % 8
        path.write_bytes(raw)


@dataclass(slots=True)
class Figures:
    """What came of many flips."""

    flips: int = 0
    harmless: int = 0
    """Every record was still there."""
    receipted: int = 0
    """Something was lost, and has receipts."""
    unnoticed: dict[Flip, str] = field(default_factory=dict)
    seconds: float = 0.0

    def __str__(self) -> str:
        shown = [
            f"\n  --file {flip.file} --bit {flip.bit}: {why}" for flip, why in list(self.unnoticed.items())[:SHOWN]
        ]
        return (
            f"{self.flips} flips, {self.flips / max(self.seconds, 0.001):.0f}/s: nothing lost {self.harmless}, "
            f"lost with receipts {self.receipted}, unnoticed {len(self.unnoticed)}" + "".join(shown)
        )


async def make_store(folder: Path) -> Made:
    """A store whose log, too, holds commits: the folder as it is while an agent has it open."""
    made = await make(folder)
    buffer = await made.world.open()
    for start in range(0, 100, 10):
        await made.append(buffer, "boiler", start, 10)
    copy = made.copy_to(folder / "copy")
    (folder / "copy" / LOG).write_bytes((folder / LOG).read_bytes())
    await buffer.close()
    return copy


def drawn(folder: Path, count: int, chance: random.Random) -> Iterator[Flip]:
    """Bits of every page of the file, and of every page of the log, in turn."""
    sizes = {name: (folder / name).stat().st_size for name in (DATABASE, LOG)}
    places = [(name, start) for name, size in sizes.items() for start in range(0, size, PAGE)]
    chance.shuffle(places)
    for number in range(count):
        name, start = places[number % len(places)]
        yield Flip(name, chance.randrange(8 * start, 8 * min(start + PAGE, sizes[name])))


async def try_flip(made: Made, flip: Flip | None, folder: Path) -> int:
    """How many records the flip has cost, and what was lost before it.

    Raises:
        AssertionError: one is lost without a receipt, or is not what it was.
    """
    copy = made.copy_to(folder / "copy")
    log = made.world.path.with_name(LOG)
    (folder / "copy" / LOG).write_bytes(log.read_bytes())
    if flip:
        flip.do(folder / "copy")
    buffer = await started(copy.world)
    try:
        for _ in range(REPAIRS):
            # What is met on the way is repaired on the spot, and whoever met it is told to try again.
            with suppress(BufferBroken):
                return await assert_accounted_for(copy, buffer)
        raise AssertionError("it is repaired again and again")
    finally:
        await buffer.close()


def survey(count: int, seed: int, only: Flip | None = None) -> Figures:
    """Flip so many bits, or one that is known."""
    figures, began = Figures(), time.monotonic()
    with scratch() as folder, checksums_remembered():
        made = asyncio.run(make_store(folder))
        with scratch(folder) as place:
            before = asyncio.run(try_flip(made, None, place))
        flips = [only] if only else drawn(made.world.path.parent, count, random.Random(seed))
        for flip in flips:
            figures.flips += 1
            with scratch(folder) as place:
                try:
                    lost = asyncio.run(try_flip(made, flip, place))
                except Exception as error:  # noqa: BLE001 - whatever it is, it was not accounted for
                    figures.unnoticed[flip] = f"{type(error).__name__}: {error}"
                else:
                    figures.harmless += lost == before
                    figures.receipted += lost > before
    figures.seconds = time.monotonic() - began
    return figures


@click.command(help=__doc__)
@click.option("--flips", default=1000, show_default=True)
@click.option("--seed", type=int, default=None, help="Another one each time if it is left out.")
@click.option("--file", "name", type=click.Choice([DATABASE, LOG]), default=DATABASE, help="With --bit.")
@click.option("--bit", type=int, default=None, help="One flip again.")
def main(flips: int, seed: int | None, name: str, bit: int | None) -> None:
    """Print the figures; 1 if a flip was not noticed."""
    logging.disable()
    drawn_from = random.SystemRandom().getrandbits(24) if seed is None else seed
    figures = survey(flips, drawn_from, None if bit is None else Flip(name, bit))
    click.echo(f"from seed {drawn_from}: {figures}")
    sys.exit(bool(figures.unnoticed))


if __name__ == "__main__":
    main()
