"""What fuzzing found stays found: every case of the corpus, and a short run of Hypothesis round each target's seeds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz import corpus
from tests.fuzz.all_targets import ROOMS
from tests.fuzz.target import TARGETS, Target

CASES = [(target, path) for target in TARGETS.values() for path in corpus.cases(target.name)]


@pytest.mark.parametrize(("target", "case"), CASES, ids=[f"{target.name}-{path.name}" for target, path in CASES])
def test_a_case_that_was_found_holds(target: Target, case: Path) -> None:
    target.run(case.read_bytes())


@pytest.mark.parametrize("target", TARGETS.values(), ids=list(TARGETS))
def test_the_seeds_hold(target: Target) -> None:
    seeds = list(target.seeds())
    assert seeds
    for seed in seeds:
        target.run(seed)


@pytest.mark.parametrize("target", TARGETS.values(), ids=list(TARGETS))
def test_bytes_round_the_seeds_hold(target: Target) -> None:
    seeds = [*target.seeds(), b""]

    @settings(max_examples=40, database=None)
    @given(mutated(seeds))
    def holds(data: bytes) -> None:
        target.run(data)

    holds()


def test_every_room_has_targets() -> None:
    assert {target.room for target in TARGETS.values()} == {room.__name__.rpartition(".")[2] for room in ROOMS}


def test_every_folder_of_the_corpus_is_a_target() -> None:
    assert {path.name for path in corpus.HERE.iterdir()} <= TARGETS.keys()


def test_a_decoder_that_breaks_is_noticed() -> None:
    def broken(data: bytes) -> None:
        if data[2:3] == b"\xff":
            raise IndexError

    @settings(max_examples=2_000, database=None)
    @given(mutated([b"seed"]))
    def holds(data: bytes) -> None:
        broken(data)

    with pytest.raises(IndexError):
        holds()


@st.composite
def mutated(draw: Any, seeds: list[bytes]) -> bytes:  # noqa: ANN401 - Hypothesis' own type is private
    """One of the seeds after a few changes, as a fuzzer makes them; now and then bytes of no origin."""
    data = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(data)))
        until = min(len(data), at + draw(st.sampled_from([0, 1, 2, 8, 64])))
        piece = draw(
            st.sampled_from([b"", b"\x00", b"\xff", b"\x80", b"\xff\xff\xff\xff", b"9" * 400]) | st.binary(max_size=8)
        )
        data[at:until] = piece
    return bytes(data)
