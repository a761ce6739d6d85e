"""Choosing between encodings: write each aside, estimate its size, keep the smallest."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

from farshore_protocol.columns.history import Leaf
from farshore_protocol.columns.plan import Choice
from farshore_protocol.columns.writer import Writer

Attempt: TypeAlias = Callable[[Writer, Choice], bool]
"""Writes a column in one encoding and says True, or writes nothing and says False because the encoding does not fit."""

Candidate: TypeAlias = tuple[tuple[int, ...], Attempt]
"""An encoding, as the plan remembers it, and how it is tried."""


def encode_cheapest(out: Writer, choice: Choice, candidates: Iterable[Candidate]) -> bool:
    """Write the smallest of the candidates that fit and remember it; False if none does. The first wins a tie."""
    leaves, masks = len(out.leaves), len(out.masks)
    best: tuple[int, Writer, Choice, list[Leaf], list[bytes]] | None = None
    for picked, attempt in candidates:
        trial, trial_choice = out.fork(), choice.fresh()
        trial_choice.picked = picked
        fits = attempt(trial, trial_choice)
        added = out.leaves[leaves:], out.masks[masks:]
        del out.leaves[leaves:], out.masks[masks:]
        if fits:
            cost = trial.cost()
            if best is None or cost < best[0]:
                best = (cost, trial, trial_choice, *added)
    if best is None:
        return False
    _, trial, trial_choice, new_leaves, new_masks = best
    out.adopt(trial)
    out.leaves += new_leaves
    out.masks += new_masks
    choice.adopt(trial_choice)
    return True
