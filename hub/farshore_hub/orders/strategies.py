"""A rollout's strategy from words, as people write it in commands. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from farshore_hub.errors import Invalid
from farshore_hub.orders.rollout import Strategy, check_strategy

_ALL = "100%"


def strategy_from(
    canary: int | None,
    then: str,
    soak_s: int,
    halt_on: Iterable[str],
    silent_after_s: int,
    *,
    again: bool = False,
) -> Strategy:
    """A strategy.

    Args:
        canary: sites of a first stage; None for none.
        then: the stages after it, as in `25%,100%`; all sites come last in any case.
        soak_s: for how long nothing may change before the next stage.
        halt_on: conditions as in `failed=1`.
        silent_after_s: when a site is away.
        again: order once more what sites have rolled back.

    Raises:
        Invalid: with what is wrong.
    """
    stages = [str(canary)] * (canary is not None) + [each.strip() for each in then.split(",") if each.strip()]
    if not stages or stages[-1] != _ALL:
        stages.append(_ALL)
    halt: dict[str, int] = {}
    for each in halt_on:
        name, _, count = each.strip().partition("=")
        if not count.isdecimal() or len(count) > 9:  # noqa: PLR2004 - fits any fleet
            raise Invalid(f"{each[:60]!r} is no condition: write it as failed=1")
        halt[name] = int(count)
    strategy = Strategy(tuple(stages), soak_s, halt, silent_after_s, again)
    if wrong := check_strategy(strategy):
        raise Invalid(wrong)
    return strategy
