"""The benchmark reads what people have, and its figures are of the right records."""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path

import pytest

from tests.benchmarks import bytes_per_record
from tests.benchmarks.datasets import interleave, load


def test_csv_cells_are_typed_by_column(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(b'time,n,x,"name"\n2024-01-01 00:00:00,1,1.5,a\n2024-01-01 00:01:00,NA,2,\n'))
    assert load(path) == [
        {"time": "2024-01-01 00:00:00", "n": 1, "x": 1.5, "name": "a"},
        {"time": "2024-01-01 00:01:00", "n": None, "x": 2.0, "name": None},
    ]


def test_log_lines_with_commas_are_no_csv(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text('1.2.3.4 - "GET /, HTTP/1.1"\n1.2.3.5 - "GET /, HTTP/1.1"\n')
    assert load(path)[1] == {"message": '1.2.3.5 - "GET /, HTTP/1.1"'}


def test_files_are_interleaved_by_time_and_told_apart() -> None:
    files = {name: [{"time": f"2024-01-0{day} 00:00:00", "n": day} for day in (1, 2)] for name in ("a", "b")}
    assert [(record["file"], record["n"]) for record in interleave(files)] == [("a", 1), ("b", 1), ("a", 2), ("b", 2)]


def test_every_file_gets_a_line_with_its_peers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.ndjson"
    path.write_text("".join(json.dumps({"n": at, "x": at % 7 / 4}) + "\n" for at in range(300)))
    monkeypatch.setattr(sys, "argv", ["bytes_per_record.py", "--json", "--dictionary", "--batch", "100", str(path)])
    bytes_per_record.main()
    figures = json.loads(capsys.readouterr().out)
    assert figures["file"] == str(path)
    assert figures["batch"] == 100
    assert 0.64 < figures["bytes_per_record"] < min(figures["peers"].values())
    assert {"NDJSON+zstd-19", "NDJSON+LZMA", "msgpack+zstd-19", "Parquet zstd tuned", "OTLP+gzip"} <= set(
        figures["peers"]
    )
