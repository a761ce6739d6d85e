"""`make fuzz`: every target under atheris, one after the other, and a table of what came out.

    python -m tests.fuzz.run [--seconds N] [--target NAME]…

Inputs that reached new code stay in `.fuzz/TARGET`, so that the next run goes on from there. What breaks a target is
copied into the corpus, where `make test` repeats it from then on.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.fuzz import corpus
from tests.fuzz.all_targets import find
from tests.fuzz.target import TARGETS, Target

KEPT: Final = Path(".fuzz")
RSS_MIB: Final = 1024
"""Of the fuzzer itself, with the hub, its instrumentation and its inputs; `test_memory` holds the product to less."""

ONE_INPUT_S: Final = 30
"""A watchdog, generous enough for a machine that is busy with other things."""

_GRACE_S: Final = 900
"""For a start, with all that is to be instrumented, on a machine that is busy with other things."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run of one target came to."""

    target: str
    executions: int
    edges: int
    found: Path | None

    def __str__(self) -> str:
        said = f"found {self.found}" if self.found else "nothing found"
        return f"{self.target:20} {self.executions:>10,} executions {self.edges:>6,} edges  {said}"


def main() -> int:
    """Fuzz; 1 if something was found."""
    options = _options()
    chosen = [find(name) for name in options.target] or list(TARGETS.values())
    print(f"{len(chosen)} target(s), {options.seconds} s each", flush=True)
    outcomes = []
    for target in chosen:
        outcomes.append(_fuzz(target, options.seconds))
        print(outcomes[-1], flush=True)
    found = [each for each in outcomes if each.found]
    total = sum(each.executions for each in outcomes)
    print(f"{total:,} executions, {len(found)} finding(s)")
    for each in found:
        print(f"repeat: {sys.executable} -m tests.fuzz.repeat {each.target} {each.found}")
    return 1 if found else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Fuzz every decoder.")
    parser.add_argument("--seconds", type=int, default=30, help="for each target")
    parser.add_argument("--target", action="append", default=[], help="only this one; may be given several times")
    return parser.parse_args()


def _fuzz(target: Target, seconds: int) -> Outcome:
    work = KEPT / target.name
    work.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds()):
        (work / f"seed-{number}").write_bytes(seed)
    crash = work.with_name(f"{target.name}.crash")
    crash.unlink(missing_ok=True)
    options = {
        "max_total_time": seconds,
        "max_len": target.max_bytes,
        "timeout": ONE_INPUT_S,
        "rss_limit_mb": RSS_MIB,
        "exact_artifact_path": crash,
        "print_final_stats": 1,
    }
    folders = [str(work), *([str(corpus.HERE / target.name)] if corpus.cases(target.name) else [])]
    command = [sys.executable, "-m", "tests.fuzz.atheris_target", target.name]
    command += [f"-{name}={value}" for name, value in options.items()] + folders
    ran = subprocess.run(command, capture_output=True, check=False, timeout=seconds + _GRACE_S + ONE_INPUT_S)
    said = ran.stderr.decode(errors="replace") + ran.stdout.decode(errors="replace")
    found = corpus.add(target.name, crash.read_bytes()) if crash.exists() else None
    if found or ran.returncode:
        print(said[-4_000:], flush=True)
    if ran.returncode and not found:
        raise SystemExit(f"the fuzzer of {target.name} ended with {ran.returncode}")
    return Outcome(
        target.name, _last(r"number_of_executed_units: ([0-9]+)", said), _last(r"cov: ([0-9]+)", said), found
    )


def _last(pattern: str, said: str) -> int:
    return int((re.findall(pattern, said) or ["0"])[-1])


if __name__ == "__main__":
    sys.exit(main())
