"""What the tests of inputs share: a context round a fake buffer, and a pass of time."""

from __future__ import annotations

from pathlib import Path

from farshore_agent.collect.input import InputContext
from farshore_agent.settings.streams import StreamPolicies, StreamSettings
from tests.agent.clocks import SteppedClock
from tests.agent.collect.fake_buffer import FakeBuffer


def context_of(
    buffer: FakeBuffer, *, clock: SteppedClock | None = None, time_field: str | None = "ts", state_dir: Path = Path("/")
) -> InputContext:
    return InputContext(
        append=buffer.append,
        load_checkpoint=buffer.load_checkpoint,
        policies=StreamPolicies(StreamSettings(time_field=time_field)),
        clock=clock or SteppedClock(),
        state_dir=state_dir,
    )
