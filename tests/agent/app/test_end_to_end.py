"""Records go through a whole agent to a hub, whatever happens on the way."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from farshore_agent import Agent
from farshore_agent.collect.http import NoListener
from farshore_agent.errors import AlreadyRunning, NotEnrolled, RecordsRefused
from farshore_agent.running import inputs
from farshore_agent.settings import AgentSettings, InputSettings, SealSettings
from farshore_agent.settings.inputs import installed
from farshore_protocol.messages import Refused
from tests.agent.app.site import QUICK, ask, join, post, records, settings_in, until
from tests.agent.forward.hub_stub import HubStub, Problem

INPUTS = """
[inputs.api]
type = "http"
listen = "unix:{folder}/api.sock"
[inputs.drop]
type = "folder"
path = "{folder}/inbox"
stream = "readings"
"""


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[HubStub]:
    async with HubStub(tmp_path) as hub:
        yield hub


@pytest.fixture
async def settings(hub: HubStub, tmp_path: Path) -> AgentSettings:
    settings = settings_in(tmp_path)
    await join(hub, settings)
    return settings


async def test_what_a_producer_posts_is_at_the_hub(hub: HubStub, settings: AgentSettings) -> None:
    async with Agent.started(settings, forward=True) as agent:
        told = await post(settings, "boiler", records(100))
        await agent.flush()
    assert (told["first"], told["last"]) == (1, 100)
    assert hub.ledger.of("boiler") == records(100)


async def test_a_record_that_is_refused_travels_as_quarantine(hub: HubStub, settings: AgentSettings) -> None:
    async with Agent.started(settings, forward=True) as agent:
        told = await post(settings, "boiler", [{"temperature": 1}, *records(1)])
        await agent.flush()
    assert told["refused_count"] == 1
    assert [kept["line"] for kept in hub.ledger.of("boiler.quarantine")] == [1]


async def test_python_programs_append_too(hub: HubStub, settings: AgentSettings) -> None:
    async with Agent.started(settings, forward=True) as agent:
        appended = await agent.append("boiler", records(3))
        with pytest.raises(RecordsRefused):
            await agent.append("boiler", {"temperature": 1})
        await agent.flush()
    assert (appended.first, appended.last) == (1, 3)
    assert len(hub.ledger.of("boiler")) == 3


async def test_records_of_a_cut_link_arrive_when_it_is_back(hub: HubStub, settings: AgentSettings) -> None:
    async with Agent.started(settings, forward=True) as agent:
        await agent.append("boiler", records(10))
        await agent.flush()
        await hub.cut_link()
        await agent.append("boiler", records(10, start=10))
        await until(lambda: agent.delivery.report.failures > 2)
        assert (await agent.status())["link"]["up"] is False
        await hub.restore_link()
        await agent.flush()
        assert agent.delivery.link_up
    assert hub.ledger.of("boiler") == records(20)


async def test_a_hub_that_was_restored_gets_what_it_has_lost(hub: HubStub, settings: AgentSettings) -> None:
    async with Agent.started(settings, forward=True) as agent:
        await agent.append("boiler", records(10))
        await agent.flush()
        backup = hub.back_up()
        await agent.append("boiler", records(10, start=10))
        await agent.flush()
        hub.restore(backup)
        await until(lambda: len(hub.ledger.of("boiler")) == 20)
        assert agent.delivery.report.returned_batches > 0
    assert hub.ledger.of("boiler") == records(20)


async def test_a_hub_that_has_lost_everything_gets_keys_too(hub: HubStub, settings: AgentSettings) -> None:
    empty = hub.back_up()
    async with Agent.started(settings, forward=True) as agent:
        await agent.append("boiler", records(10))
        await agent.flush()
        hub.restore(empty)
        await until(lambda: len(hub.ledger.of("boiler")) == 10)


async def test_a_parcel_whose_answer_is_lost_is_sent_again(hub: HubStub, settings: AgentSettings) -> None:
    async with Agent.started(settings, forward=True) as agent:
        hub.faults = [Problem(502, "bad-gateway", "somebody in between")]
        await agent.append("boiler", records(10))
        await agent.flush()
    assert hub.ledger.of("boiler") == records(10)


async def test_a_revoked_site_says_so_and_keeps_its_records(hub: HubStub, settings: AgentSettings) -> None:
    hub.revoked.add("ship-1")
    async with Agent.started(settings, forward=True) as agent:
        await agent.append("boiler", records(10))
        await until(lambda: agent.delivery.report.failures > 0)
        status = await agent.status()
    assert "revoked" in status["link"]["last_error"]
    assert status["link"]["exchanges"]["refused"] > 0
    assert status["buffer"]["pending"] == 10


async def test_what_the_hub_does_not_take_is_kept_and_shown(hub: HubStub, settings: AgentSettings) -> None:
    async with Agent.started(settings, forward=True) as agent:
        hub.refuse_next = [Refused.UNSUPPORTED]
        await agent.append("boiler", records(10))
        await until(lambda: agent.delivery.report.refusals["unsupported"] == 1)
        status = await agent.status()
    assert status["buffer"]["streams"][0]["held_back"] == 1
    assert status["buffer"]["pending"] == 10


async def test_an_older_life_is_finished_by_the_next(hub: HubStub, settings: AgentSettings) -> None:
    await hub.cut_link()
    async with Agent.started(settings, forward=True) as agent:
        await agent.append("boiler", records(10))
        await agent.delivery.last_words(0)
    await hub.restore_link()
    async with Agent.started(settings, forward=True) as agent:
        await agent.append("boiler", records(5, start=10))
        await agent.flush()
        await until(lambda: any(statement.whole for statement in hub.statements))
        assert len({claim.incarnation for statement in hub.statements for claim in statement.claims}) == 2
    assert sorted(record["ts"] for record in hub.ledger.of("boiler")) == [r["ts"] for r in records(15)]


async def test_an_agent_that_has_not_joined_collects_and_delivers_once_it_has(hub: HubStub, tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    async with Agent.started(settings, forward=True) as agent:
        await agent.append("boiler", records(10))
        with pytest.raises(NotEnrolled):
            await agent.flush()
        await join(hub, settings)
        await until(lambda: len(hub.ledger.of("boiler")) == 10)


async def test_a_second_agent_is_told_who_has_the_folder(settings: AgentSettings) -> None:
    async with Agent.started(settings, forward=False):
        with pytest.raises(AlreadyRunning, match="process"):
            async with Agent.started(settings, forward=False):
                pass


async def test_what_is_queued_at_the_end_is_on_disk(hub: HubStub, settings: AgentSettings) -> None:
    async with Agent.started(settings, forward=False) as agent:
        await agent.append("boiler", records(10))
    async with Agent.started(settings, forward=True) as agent:
        await agent.flush()
    assert hub.ledger.of("boiler") == records(10)


async def test_the_last_exchange_takes_along_what_was_just_stored(hub: HubStub, tmp_path: Path) -> None:
    settings = replace(settings_in(tmp_path), seal=SealSettings())
    await join(hub, settings)
    async with Agent.started(settings, forward=True) as agent:
        await until(lambda: agent.delivery.link_up)
        await agent.append("boiler", records(3))
    assert hub.ledger.of("boiler") == records(3)


async def test_the_status_file_tells_of_the_agent_that_has_stopped(settings: AgentSettings) -> None:
    async with Agent.started(settings, forward=True) as agent:
        await agent.append("boiler", records(1))
        await agent.flush()
    left = json.loads((settings.state_dir / "status.json").read_text())
    assert left["running"] is False
    assert left["link"]["acknowledged_records"] == 1


async def test_the_door_has_figures_for_prometheus(settings: AgentSettings) -> None:
    async with Agent.started(settings, forward=True) as agent:
        await post(settings, "boiler", records(7))
        await agent.flush()
        text = (await ask(settings, "GET", "/metrics")).body.decode()
    assert 'farshore_agent_appended_records_total{stream="boiler"} 7' in text
    assert 'farshore_agent_pending_records{stream="boiler"} 0' in text
    assert "farshore_agent_link_up 1" in text
    assert "farshore_agent_commit_seconds_count 1" in text


async def test_an_exported_parcel_is_acknowledged_by_file(hub: HubStub, settings: AgentSettings) -> None:
    async with Agent.started(settings, forward=False) as agent:
        await agent.append("boiler", records(10))
        (only,) = await agent.plan_export(2**30)
        parcel = await agent.export(only)
        settled = await agent.import_answer(hub.receive(parcel, "ship-1"))
        assert settled.acknowledged_records == 10
        assert (await agent.status())["buffer"]["pending"] == 0
    assert hub.ledger.of("boiler") == records(10)


async def test_the_commands_reach_a_running_agent(hub: HubStub, settings: AgentSettings) -> None:
    async with Agent.started(settings, forward=True) as agent:
        await agent.append("boiler", records(10))
        assert (await ask(settings, "POST", "/v1/control/flush", b'{"timeout_s": 20}')).status == 200
        status = json.loads((await ask(settings, "GET", "/v1/control/status")).body)
        refused = await ask(settings, "POST", "/v1/control/import-ack", b"no answer")
        badly = await ask(settings, "POST", "/v1/control/export", b"[")
    assert status["identity"]["site"] == "ship-1"
    assert (refused.status, badly.status) == (422, 400)


async def test_a_program_opens_an_agent_by_its_settings_file(hub: HubStub, tmp_path: Path) -> None:
    (tmp_path / "agent.toml").write_text(QUICK)
    await join(hub, settings_in(tmp_path))
    async with Agent.open(tmp_path / "agent.toml") as agent:
        await agent.append("boiler", records(2))
        await agent.flush()
    assert len(hub.ledger.of("boiler")) == 2


async def test_a_certificate_is_renewed_in_time_while_records_flow(hub: HubStub, tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    hub.certificate_life = timedelta(seconds=1)
    await join(hub, settings)
    hub.certificate_life = timedelta(days=30)
    async with Agent.started(settings, forward=True) as agent:
        await until(lambda: "POST /v1/renew" in hub.requests)
        await until(lambda: agent.delivery.link_up)
        await agent.append("boiler", records(2))
        await agent.flush()
    assert hub.requests.count("POST /v1/renew") == 1


async def test_a_hub_that_no_longer_knows_a_certificate_gets_a_new_one(hub: HubStub, settings: AgentSettings) -> None:
    hub.unknown_certificates = True
    async with Agent.started(settings, forward=True) as agent:
        await agent.append("boiler", records(2))
        await until(lambda: "POST /v1/renew" in hub.requests)
        hub.unknown_certificates = False
        await until(lambda: len(hub.ledger.of("boiler")) == 2)


async def test_inputs_of_the_settings_file_run_and_a_bug_in_one_hurts_no_other(
    hub: HubStub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "inbox").mkdir()
    settings = settings_in(tmp_path, INPUTS.format(folder=tmp_path))
    await join(hub, settings)
    broken = 0

    class Broken:
        def __init__(self, *_: object) -> None:
            pass

        async def run(self) -> None:
            nonlocal broken
            broken += 1
            raise ZeroDivisionError

    class BrokenType:
        value = "tests:Broken"

        def load(self) -> type[Broken]:
            return Broken

    async with Agent.started(settings, forward=True) as agent:
        monkeypatch.setattr(inputs, "installed", lambda: {**installed(), "broken": BrokenType()})
        await agent.running.collect()
        await agent.running.inputs.use({**settings.inputs, "broken": InputSettings(type="broken")})
        (tmp_path / "inbox" / "readings.ndjson").write_text('{"ts": 1795435200, "n": 1}\n')

        await until(lambda: len(hub.ledger.of("readings")) == 1)
        assert broken
        assert agent.running.inputs.troubles() == ["inputs.broken: ZeroDivisionError: "]
        assert len(agent.running.inputs.doors) == 2
        await agent.running.inputs.stop()


async def test_a_door_is_announced_when_it_can_be_entered_and_not_before(tmp_path: Path) -> None:
    text = INPUTS.format(folder=tmp_path) + '[inputs.tcp]\ntype = "http"\nlisten = "127.0.0.1:0"\n'
    entered: dict[str, str] = {}

    def enter(line: str) -> None:
        """The loop does not run on while it is told: who is let in here would have been let in at once."""
        if match := re.fullmatch(r"door (\w+): http, the address (unix:)?(.*)", line):
            name, is_unix, where = match.groups()
            host, _, port = where.rpartition(":")
            with socket.socket(socket.AF_UNIX if is_unix else socket.AF_INET) as producer:
                producer.connect(where if is_unix else (host, int(port)))
            entered[name] = where

    async with Agent.started(settings_in(tmp_path, text), forward=False) as agent:
        agent.running.inputs.tell = enter
        await agent.running.collect()
        await until(lambda: len(entered) == 2)
        doors = (await agent.status())["doors"]
        assert f"api: http, the address unix:{tmp_path}/api.sock" in doors
        assert f"tcp: http, the address {entered['tcp']}" in doors, "the port that was taken"
        assert f"drop: folder, the files {tmp_path}/inbox/*" in doors
        await agent.running.inputs.stop()


async def test_a_door_whose_address_is_taken_is_not_announced(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        text = f'[inputs.tcp]\ntype = "http"\nlisten = "127.0.0.1:{port}"\n'
        told: list[str] = []
        async with Agent.started(settings_in(tmp_path, text), forward=False) as agent:
            agent.running.inputs.tell, agent.running.inputs.own = told.append, agent.running.settings.inputs
            await agent.running.collect()
            with pytest.raises(NoListener):
                await agent.running.inputs.failed()
            assert (await agent.status())["doors"] == []
    assert told == []
