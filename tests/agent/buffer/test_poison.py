"""A chunk that can be read and cannot be sealed does not hold up its stream."""

from __future__ import annotations

from typing import Any

import pytest

from farshore_agent.buffer import sealer
from farshore_protocol.columns import Columns, encode
from farshore_protocol.messages import Reason
from tests.agent.buffer.world import FakeHub, World, admitted, drain, readings

POISON = 13


@pytest.fixture
def poisoned(monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(columns: Columns, **settings: Any) -> bytes:  # noqa: ANN401 - the encoder's own
        if POISON in columns.fields["n"]:
            raise ValueError("unlucky")
        return encode(columns, **settings)

    monkeypatch.setattr(sealer, "encode", refusing)


@pytest.mark.usefixtures("poisoned")
async def test_it_is_put_aside_with_a_receipt_and_the_others_are_sealed(world: World, hub: FakeHub) -> None:
    buffer = await world.open()
    for start in range(0, 30, 10):
        await buffer.append("boiler", admitted(readings(start, 10)))
    for _ in range(3):
        await buffer.seal_due(link_up=True, flush=True)
    await drain(buffer, hub)
    assert hub.stored(buffer.incarnation, "boiler").to_wire() == [1, 10, 21, 30]
    assert hub.receipted[buffer.incarnation, "boiler"].to_wire() == [11, 20]
    status = await buffer.status()
    assert status.streams[0].receipted == {Reason.QUARANTINED.value: 10}
    [(_, stream, first, count, _, why)] = buffer._store._database.rows("all_put_aside")
    assert (stream, first, count) == ("boiler", 11, 10)
    assert "unlucky" in why
    await buffer.close()


async def test_chunks_that_fail_only_together_are_sealed_one_by_one(
    world: World, hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    def small(columns: Columns, **settings: Any) -> bytes:  # noqa: ANN401 - the encoder's own
        if columns.count > 10:
            raise ValueError("too much together")
        return encode(columns, **settings)

    monkeypatch.setattr(sealer, "encode", small)
    buffer = await world.open()
    for start in range(0, 30, 10):
        await buffer.append("boiler", admitted(readings(start, 10)))
    for _ in range(3):
        await buffer.seal_due(link_up=True, flush=True)
    await drain(buffer, hub)
    assert hub.stored(buffer.incarnation, "boiler").to_wire() == [1, 30]
    await buffer.close()
