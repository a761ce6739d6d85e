"""The life of settings that the hub has sent: received → entered → kept, or refused, or rolled back. Pure.

received: durable, not looked at yet.  entered: found valid, and in force.  Then the site watches itself, see `probe`.
Each step is on disk before anything is done about it, so that whatever ends the agent between two of them leaves the
old settings or the new ones. `started` says what a start makes of what it finds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from farshore_agent.orders.state import Pushed, State, Trial
from farshore_protocol.limits import MAX_REPORT_PROBLEMS, MAX_TEXT_CHARS
from farshore_protocol.orders import Desired, Outcome, SettingsReport

MAX_STARTS: Final = 1
"""Of the agent during one trial: power may fail once. The second time it is the settings that are to blame."""

CRASHED: Final = "the agent was started again and again while it tried them"


class NoTrial(Exception):
    """There is no trial that could take this step: ours to repair."""


def received(state: State, number: int, desired: Desired) -> State:
    """Newer settings have come. A trial that is under way is over: what it had in force is not kept."""
    trial = Trial(Pushed(number, desired.revision, desired.settings), desired.probe_s)
    return replace(state, trial=trial, settings_number=number)


def entered(state: State, *, link_was_up: bool, troubles: Sequence[str]) -> State:
    """They are valid, and come into force now."""
    trial = _trial(state)
    trial = replace(trial, entered=True, link_was_up=link_was_up, troubles=tuple(troubles))
    return _told(replace(state, trial=trial), trial.pushed.number, Outcome.PROBING)


def refused(state: State, problems: Sequence[str]) -> State:
    """They are not valid here, or not allowed; they never were in force."""
    number = _trial(state).pushed.number
    return _told(replace(state, trial=None), number, Outcome.REFUSED, problems)


def kept(state: State) -> State:
    """They have proved themselves."""
    pushed = _trial(state).pushed
    return _told(replace(state, kept=pushed, trial=None), pushed.number, Outcome.KEPT)


def rolled_back(state: State, problems: Sequence[str]) -> State:
    """They have not, and what was in force before is in force again."""
    number = _trial(state).pushed.number
    return _told(replace(state, trial=None), number, Outcome.ROLLED_BACK, problems)


def unfit(state: State, problems: Sequence[str]) -> State:
    """What was kept does not fit the site's file any more, which its owner has changed: the file alone is in force."""
    return _told(replace(state, kept=None), state.settings_number, Outcome.ROLLED_BACK, problems)


def started(state: State) -> State:
    """What a start of the agent makes of it, before it looks at any settings."""
    trial = state.trial
    if trial is None:
        return state
    if trial.starts < MAX_STARTS:
        return replace(state, trial=replace(trial, starts=trial.starts + 1))
    return rolled_back(state, [CRASHED]) if trial.entered else refused(state, [CRASHED])


def _trial(state: State) -> Trial:
    if state.trial is None:
        raise NoTrial
    return state.trial


def _told(state: State, latest: int, outcome: Outcome, problems: Sequence[str] = ()) -> State:
    running = state.running.number if state.running else 0
    shown = [problem[:MAX_TEXT_CHARS] for problem in problems[:MAX_REPORT_PROBLEMS]]
    return replace(state, settings=SettingsReport(running, latest, outcome, shown))
