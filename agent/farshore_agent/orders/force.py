"""Which settings are in force: the hub's over the site's file, or the file alone."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from farshore_agent.errors import SettingsError
from farshore_agent.orders import lifecycle
from farshore_agent.orders.state import Pushed, State, load, save
from farshore_agent.settings.layers import Effective, LocalFile, alone, over

_LOG: Final = logging.getLogger(__name__)


def effective(local: LocalFile, pushed: Pushed | None) -> Effective:
    """The settings with these of the hub.

    Raises:
        SettingsError: they do not fit, or are not accepted here.
    """
    orders = local.settings.orders
    if pushed is None or not orders.enabled:
        return alone(local)
    return over(local, pushed.settings, orders.accept)


def peek(local: LocalFile) -> Effective:
    """What a running agent has in force, for commands that only look."""
    try:
        return effective(local, load(local.settings.state_dir).running)
    except SettingsError:
        return alone(local)


def boot(local: LocalFile) -> Effective:
    """What an agent that starts now has in force. What cannot be is rolled back first, durably if the disk lets us."""
    state_dir = local.settings.state_dir
    before = load(state_dir)
    if not local.settings.orders.enabled:
        return alone(local)
    # On disk before the settings are looked at: to look at them is to import plugins, and that can end the agent, too.
    state = _saved(state_dir, before, lifecycle.started(before))
    while True:
        try:
            return effective(local, state.running)
        except SettingsError as error:
            _LOG.error("the hub's settings do not fit any more and are rolled back: %s", error)
            state = _saved(state_dir, state, without_the_unfit(state, problems_of(error)))


def problems_of(error: SettingsError) -> list[str]:
    """A line each."""
    return [str(problem) for problem in error.problems]


def without_the_unfit(state: State, problems: Sequence[str]) -> State:
    """The state after what is in force was found not to fit."""
    if state.trial and state.trial.entered:
        return lifecycle.rolled_back(state, problems)
    return lifecycle.unfit(state, problems)


def _saved(state_dir: Path, before: State, state: State) -> State:
    if state != before:
        try:
            save(state_dir, state)
        except OSError as error:
            # A full disk keeps no agent from starting: the steward saves it when there is room.
            _LOG.error("what is in force cannot be saved: %s", error)
    return state
