"""The shell: what comes is looked at, made durable and reported; a stranger's bytes do no harm."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from farshore_agent import Agent
from farshore_agent.orders.describe import describe, describe_apart
from farshore_agent.orders.state import FILE, FOLDER, State, load, save
from farshore_agent.settings import AgentSettings
from farshore_protocol.documents import Signer
from farshore_protocol.orders import Outcome
from tests.agent.app.site import join, settings_in, until
from tests.agent.forward.hub_stub import HubStub
from tests.agent.orders.sites import HUB, HUB_SIGNER, SITE
from tests.protocol import peers


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[HubStub]:
    async with HubStub(tmp_path) as hub:
        hub.speaks_of_orders = True
        yield hub


@pytest.fixture
async def settings(hub: HubStub, tmp_path: Path) -> AgentSettings:
    settings = settings_in(tmp_path)
    await join(hub, settings)
    return settings


async def test_a_site_introduces_itself_answers_and_refuses(hub: HubStub, settings: AgentSettings) -> None:
    async with Agent.started(settings, forward=True) as agent:
        await until(lambda: hub.introduction is not None)
        hub.orders.append(hub.order(10, command="dance"))
        await until(lambda: any(report.command for report in hub.reports))
        told = next(report.command for report in hub.reports if report.command)
        assert (told.number, told.done, "dance" in told.text) == (10, False, True)
        agent.orders.take(hub.order(9, command="flush"))
        agent.orders.take(hub.order(11, command="flush", signer=Signer(HUB_SIGNER.id, peers.HUB_SIGNER)))
        agent.orders.take(b"nonsense")
        await until(lambda: agent.orders.status()["refused"] == {"older": 1, "foreign": 1, "malformed": 1})
        assert 'refused_orders_total{reason="foreign"} 1' in await agent.metrics()
    async with Agent.started(settings, forward=True) as agent:
        agent.orders.take(hub.order(9, command="flush"))
        await until(lambda: agent.orders.status()["refused"] == {"older": 1})


async def test_a_hub_that_does_not_know_of_orders_gets_no_reports(hub: HubStub, settings: AgentSettings) -> None:
    hub.speaks_of_orders = False
    async with Agent.started(settings, forward=True) as agent:
        await until(lambda: len(hub.parcels) >= 2)
        assert agent.orders.report() is None
    assert not any(parcel.report for parcel in hub.parcels)


async def test_a_crowd_of_orders_is_bounded(settings: AgentSettings) -> None:
    async with Agent.started(settings, forward=False) as agent:
        for _ in range(100):
            agent.orders.take(b"nonsense")
        assert agent.orders.status()["refused"] == {"crowded": 92}


async def test_a_stick_carries_orders_and_reports(hub: HubStub, settings: AgentSettings) -> None:
    async with Agent.started(settings, forward=False) as agent:
        await agent.import_answer(hub.receive(await agent.export([]), SITE))
        hub.receive(await agent.export([]), SITE)
        hub.orders.append(hub.order(10, settings="[seal]"))
        await agent.import_answer(hub.receive(await agent.export([]), SITE))
        hub.receive(await agent.export([]), SITE)
    told = hub.reports[-1].settings
    assert told is not None
    assert (told.latest, told.outcome) == (10, Outcome.REFUSED)


def test_a_damaged_state_is_no_obstacle(tmp_path: Path) -> None:
    save(tmp_path, State(HUB, SITE, settings_number=3))
    assert load(tmp_path).settings_number == 3
    (tmp_path / FOLDER / FILE).write_bytes(b'{"hub": ')
    assert load(tmp_path) == State()


async def test_the_file_is_private(tmp_path: Path) -> None:
    await asyncio.to_thread(save, tmp_path, State(HUB, SITE))
    assert (tmp_path / FOLDER / FILE).stat().st_mode & 0o777 == 0o600


async def test_the_schema_is_made_by_another_process_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = await describe_apart(tmp_path)
    assert made == await describe()
    monkeypatch.setattr(sys, "executable", "/nothing/here")
    assert await describe_apart(tmp_path) == made
    (tmp_path / "schema").write_bytes(b"of another time")
    assert await describe_apart(tmp_path) == made, "made here, where there is no other process"
