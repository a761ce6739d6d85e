"""No input makes a decoder take more than 256 MiB, or for ever: each in a process of its own, fed with bombs."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.fuzz.bombs import BOMBS, MIB
from tests.fuzz.decoders import DECODERS

MAX_RSS_KIB: Final = 256 * 1024
CPU_S: Final = 60 if "FARSHORE_ALL_BOMBS" not in os.environ else 600
"""Of one decoder and all that it is fed with. A quadratic one takes hours; none that is sound takes a third of it."""

FOUND: Final = {
    "ndjson": ["lists of short texts"],
    "json_array": ["numbers", "texts after a NaN"],
    "csv_file": ["quotes that open in every line", "blank lines"],
    "http_request": ["a trailer without end", "requests without pause"],
    "http_answer": ["a trailer without end"],
    "batch_body": ["blank lines", "hexadecimal", "integers that hash alike, as a key", "progressions"],
    "statement": ["ranges"],
    "answer": ["ranges"],
    "agent_settings": ["deep", "a long hexadecimal number"],
    "hub_settings": ["deep"],
    "identity_file": ["deep"],
    "status_file": ["deep"],
}
"""What once went over a bound. `make bombs` feeds all of them, which takes minutes."""

ALL: Final = "FARSHORE_ALL_BOMBS" in os.environ


def _peaks(decoder: str, files: list[Path]) -> dict[str, int]:
    """After each file the largest resident set in KiB."""
    ran = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.measure", decoder, *map(str, files)],
        capture_output=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S)),
    )
    assert ran.returncode == 0, f"after {ran.stdout.decode()}: {ran.stderr.decode()[-2000:]}"
    return {name: int(peak) for name, peak in (line.rsplit(" ", 1) for line in ran.stdout.decode().splitlines())}


@pytest.mark.parametrize("decoder", DECODERS if ALL else FOUND)
def test_a_bomb_takes_no_more_than_its_bound(decoder: str, tmp_path: Path) -> None:
    files = []
    for name, make in BOMBS[decoder].items():
        if not (ALL or name in FOUND[decoder]):
            continue
        files.append(tmp_path / name)
        files[-1].write_bytes(make())
    peaks = _peaks(decoder, files)
    assert len(peaks) == len(files)
    assert max(peaks.values()) < MAX_RSS_KIB, peaks


def test_a_decoder_that_takes_more_would_be_noticed(tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.write_bytes(bytes(300 * MIB))
    assert _peaks("join_token", [large])["large"] > MAX_RSS_KIB
