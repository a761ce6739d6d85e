"""How many bytes a record takes on the wire, ours against what other formats make of the same batches in the same run.

    python tests/benchmarks/bytes_per_record.py [--json] [--batch N] [--dictionary] [--together] FILE...

The first 30 % of a file train dictionaries (and show our plan what is coming); everybody is measured on the rest, cut
into batches of N records. Ours is the effort SMALL with 64 bytes added to every batch for header and tag; every batch
is decoded again and compared. The peers get nothing added; one that cannot carry the records is left out.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from farshore_protocol.columns import Columns, Dictionary, Effort, Plan, decode, encode, train_dictionary
from tests.benchmarks.datasets import Record, interleave, load
from tests.benchmarks.peers import DICTIONARY_BYTES, CannotCarry, Peer, all_peers

HEADER_AND_TAG_BYTES: Final = 64
TRAINING_SHARE: Final = 0.3


@dataclass(frozen=True)
class Figures:
    """Bytes per record of one file."""

    file: str
    batch: int
    bytes_per_record: float
    peers: dict[str, float]


def main() -> None:
    """Print the figures of every file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="CSV, NDJSON or text, gzipped or not")
    parser.add_argument("--batch", type=int, default=1000, metavar="N", help="records in a batch (default 1000)")
    parser.add_argument("--dictionary", action="store_true", help="give our format a dictionary, too")
    parser.add_argument("--together", action="store_true", help="measure all files as one stream, ordered by time")
    parser.add_argument("--json", action="store_true", help="one JSON object per file")
    args = parser.parse_args()
    streams = {str(path): load(path) for path in args.files}
    if args.together:
        streams = {" + ".join(streams): interleave({path.name.split(".")[0]: load(path) for path in args.files})}
    for name, records in streams.items():
        figures = measure(name, records, args.batch, with_dictionary=args.dictionary)
        sys.stdout.write((json.dumps(asdict(figures)) if args.json else as_text(figures)) + "\n")
        sys.stdout.flush()


def measure(name: str, records: list[Record], batch: int, *, with_dictionary: bool) -> Figures:
    """Figures for one stream."""
    cut = int(len(records) * TRAINING_SHARE)
    training, rest = records[:cut], records[cut:]
    batches = [rest[start : start + batch] for start in range(0, len(rest), batch)]
    columns = Columns.from_records(training)
    dictionary = train_dictionary(columns, max_bytes=DICTIONARY_BYTES) if with_dictionary else None
    peers = {}
    for peer, compress in all_peers(training).items():
        with contextlib.suppress(CannotCarry):
            peers[peer] = _average(compress, batches)
    return Figures(name, batch, round(_average(_ours(columns, batch, dictionary), batches), 3), peers)


def _ours(training: Columns, batch: int, dictionary: Dictionary | None) -> Peer:
    plan = Plan()
    encode(
        training.slice(training.count - batch, training.count), effort=Effort.SMALL, plan=plan, dictionary=dictionary
    )

    def compress(records: list[Record]) -> bytes:
        body = encode(Columns.from_records(records), effort=Effort.SMALL, plan=plan, dictionary=dictionary)
        if decode(body, dictionary=dictionary).records() != records:
            raise SystemExit("a batch did not come back as it was")
        return bytes(HEADER_AND_TAG_BYTES) + body

    return compress


def _average(compress: Peer, batches: list[list[Record]]) -> float:
    return round(sum(len(compress(records)) for records in batches) / sum(map(len, batches)), 3)


def as_text(figures: Figures) -> str:
    """A small table."""
    best = min(figures.peers.values())
    lines = [
        f"{figures.file}, batches of {figures.batch}",
        f"  {'farshore':28}{figures.bytes_per_record:10.2f} bytes per record",
        *(f"  {peer:28}{size:10.2f}" for peer, size in sorted(figures.peers.items(), key=lambda item: item[1])),
        f"  {'of the smallest peer':28}{figures.bytes_per_record / best:10.2f}",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
