"""The life of pushed settings, with the power cut between any two steps: the old ones or the new ones, never a half."""

from __future__ import annotations

import tempfile
from collections.abc import Coroutine, Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings as test_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from farshore_agent.errors import AgentError
from farshore_agent.orders import force, lifecycle
from farshore_agent.orders.force import boot, effective
from farshore_agent.orders.lifecycle import CRASHED
from farshore_agent.orders.probe import Seen, Step, judge
from farshore_agent.orders.state import Book, Pushed, State, Trial, load, save
from farshore_agent.orders.steward import Steward
from farshore_agent.settings import AgentSettings
from farshore_agent.settings.layers import LocalFile, load_file
from farshore_protocol.orders import Desired, Outcome
from tests.agent.orders.sites import HUB, SITE, inline

FILE = 'state_dir = "state"\n[seal]\nmax_records = 1\n'
TRIAL = Trial(Pushed(7, 1, ""), probe_s=60, entered=True, link_was_up=True, troubles=("a tap drips",))


class PowerCut(BaseException):
    """The process is gone."""


class Clock:
    """Time passes when the test says so."""

    now_s = 0.0

    def now_us(self) -> int:
        return round(self.now_s * 1e6)

    def monotonic_s(self) -> float:
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        self.now_s += seconds


class House:
    """What the settings are of; each `use` can fail, or end with the power."""

    def __init__(self, settings: AgentSettings) -> None:
        self.settings = settings
        self.answers = 0
        self.link_up = True
        self.wrong: list[str] = []
        self.fails: list[BaseException] = []

    async def use(self, settings: AgentSettings) -> None:
        self.settings = settings
        if self.fails:
            raise self.fails.pop()

    def objections(self, settings: AgentSettings) -> Iterable[str]:
        return ["too large for this disk"] if settings.buffer.max_bytes > 2**40 else []

    def ask_hub(self) -> None:
        pass

    def troubles(self) -> list[str]:
        return self.wrong


def run(work: Coroutine[Any, Any, object]) -> None:
    """To its end. Nothing here waits for anything, so that no loop is needed."""
    try:
        work.send(None)
    except StopIteration:
        return
    raise AssertionError("it waits")


class Life(RuleBasedStateMachine):
    """An agent that is sent settings, and dies whenever it is worst."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        path = Path(self.folder.name)
        (path / "agent.toml").write_text(FILE)
        self.local: LocalFile = load_file(path / "agent.toml")
        self.state_dir = path / "state"
        self.number = 0
        self.sent: dict[int, int] = {0: 1}
        self.good: set[int] = {0}
        self.starts = 0
        self.start()
        run(self.book.change(lambda _: State(HUB, SITE)))

    def teardown(self) -> None:
        self.folder.cleanup()

    def start(self) -> None:
        in_force = boot(self.local)
        self.house, self.clock = House(in_force.settings), Clock()
        self.book = Book(self.state_dir, inline)
        self.steward = Steward(self.book, self.local, in_force, self.house, self.clock)

    async def send(self, text: str, probe_s: int) -> None:
        desired = Desired(text, self.number, probe_s)
        await self.book.change(lambda state: lifecycle.received(state, self.number, desired))

    @rule(value=st.integers(2, 10_000), probe_s=st.sampled_from([0, 30]))
    def valid_settings_come(self, value: int, probe_s: int) -> None:
        self.number += 1
        self.sent[self.number] = value
        run(self.send(f"[seal]\nmax_records = {value}", probe_s))
        self.starts = 0

    @rule(
        text=st.sampled_from(
            ["[seal]\nmax_records = 0", "nonsense", "state_dir = 'x'", "[buffer]\nmax_bytes = '4 TiB'"]
        )
    )
    def settings_come_that_cannot_be(self, text: str) -> None:
        self.number += 1
        run(self.send(text, 30))
        self.starts = 0

    @rule()
    def a_moment_passes(self) -> None:
        self.clock.now_s += 10
        run(self.steward.turn())

    @rule()
    def the_hub_answers(self) -> None:
        self.house.answers += 1

    @rule()
    def the_probe_ends(self) -> None:
        self.clock.now_s += 100
        run(self.steward.turn())

    @rule()
    def something_breaks(self) -> None:
        self.house.wrong = [*self.house.wrong, f"trouble {len(self.house.wrong)}"]

    @precondition(lambda self: not self.house.fails)
    @rule(why=st.sampled_from([AgentError("no"), PowerCut()]))
    def applying_will_fail(self, why: BaseException) -> None:
        self.house.fails.append(why)
        try:
            run(self.steward.turn())
        except PowerCut:
            self.the_power_fails()
        except AgentError:
            pass
        self.house.fails.clear()

    @rule()
    def the_power_fails(self) -> None:
        before = load(self.state_dir).trial
        self.starts += 1
        self.start()
        if before is not None and self.starts > lifecycle.MAX_STARTS:
            told = self.book.state.settings
            assert self.book.state.trial is None
            assert told is not None
            assert told.problems == [CRASHED]

    @invariant()
    def what_is_on_disk_is_what_the_agent_knows(self) -> None:
        assert load(self.state_dir) == self.book.state

    @invariant()
    def what_is_in_force_is_whole_and_was_sent(self) -> None:
        if self.book.state.trial is not None and not self.book.state.trial.entered:
            return  # what was in force before is, until these were looked at
        run(self.steward.turn())
        state = self.book.state
        number = self.book.state.running.number if self.book.state.running else 0
        assert self.house.settings.seal.max_records == self.sent[number]
        assert self.house.settings == boot_again(self.local, self.book.state)
        told = self.book.state.settings
        if told is not None:
            assert told.running == number
            assert told.outcome is not Outcome.KEPT or told.latest == number
            assert (told.outcome is Outcome.PROBING) == (state_trial(self.book.state) == told.latest)
        assert state.settings_number == self.number


def state_trial(state: State) -> int | None:
    return state.trial.pushed.number if state.trial and state.trial.entered else None


def boot_again(local: LocalFile, state: State) -> AgentSettings:
    return effective(local, state.running).settings


TestLife = Life.TestCase
TestLife.settings = test_settings(max_examples=20, stateful_step_count=25, deadline=None)


@pytest.mark.parametrize(
    ("seen", "step"),
    [
        (Seen(59, has_answer=True, troubles=["a tap drips"]), Step.WAIT),
        (Seen(60, has_answer=True, troubles=["a tap drips"]), Step.KEEP),
        (Seen(60, has_answer=False, troubles=[]), Step.ROLL_BACK),
        (Seen(1, has_answer=True, troubles=["the roof leaks"]), Step.ROLL_BACK),
    ],
)
def test_only_what_is_new_counts_against_new_settings(seen: Seen, step: Step) -> None:
    assert judge(TRIAL, seen).step is step


def test_a_site_that_never_reached_its_hub_need_not_reach_it_now() -> None:
    trial = Trial(Pushed(7, 1, ""), probe_s=60, entered=True)
    assert judge(trial, Seen(60, has_answer=False, troubles=[])).step is Step.KEEP


def test_a_step_without_a_trial_is_a_fault_of_ours() -> None:
    with pytest.raises(lifecycle.NoTrial):
        lifecycle.kept(State(HUB, SITE))


def test_a_full_disk_keeps_no_agent_from_starting_and_what_does_not_fit_is_rolled_back_when_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "agent.toml").write_text(FILE + "[orders]\naccept = []\n")
    local, state_dir = load_file(tmp_path / "agent.toml"), tmp_path / "state"
    save(state_dir, State(HUB, SITE, kept=Pushed(7, 1, "[seal]\nmax_records = 5"), settings_number=7))
    with monkeypatch.context() as full:

        def refuse(*_: object) -> None:
            raise OSError(28, "No space left on device")

        full.setattr(force, "save", refuse)
        in_force = boot(local)
    assert in_force.settings == local.settings
    book = Book(state_dir, inline)
    run(Steward(book, local, in_force, House(in_force.settings), Clock()).turn())
    assert load(state_dir).kept is None
    assert book.state.settings is not None
    assert book.state.settings.outcome is Outcome.ROLLED_BACK
