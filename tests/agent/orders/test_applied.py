"""Settings of the hub in a whole agent: applied while it runs, kept or rolled back, and nothing of the buffer lost."""

from __future__ import annotations

import asyncio
import io
import json
import socket
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from farshore_agent import Agent
from farshore_agent.orders.state import load
from farshore_agent.settings.layers import LocalFile, load_file
from farshore_protocol.orders import CommandReport, Outcome, Report, SettingsReport
from tests.agent.app.site import QUICK, join, records, until
from tests.agent.forward.hub_stub import HubStub

ACCEPT = '[orders]\naccept = ["streams", "stream_defaults", "seal", "forward", "buffer", "inputs", "site_labels"]\n'
BOILER_FIRST = "[streams.boiler]\npriority = 9\n[buffer]\nmax_bytes = '64 MiB'\n[seal]\nmax_records = 500\n"


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[HubStub]:
    async with HubStub(tmp_path) as hub:
        hub.speaks_of_orders = True
        yield hub


def file_in(folder: Path, text: str = ACCEPT) -> LocalFile:
    (folder / "agent.toml").write_text(QUICK + text)
    return load_file(folder / "agent.toml")


@pytest.fixture
async def local(hub: HubStub, tmp_path: Path) -> LocalFile:
    local = file_in(tmp_path)
    await join(hub, local.settings)
    return local


async def push(hub: HubStub, agent: Agent, number: int, settings: str, *, probe_s: int = 0) -> None:
    await until(lambda: hub.introduction is not None)
    agent.orders.take(hub.order(number, settings=settings, probe_s=probe_s))


async def heard(hub: HubStub, number: int, *outcomes: Outcome) -> SettingsReport:
    """What the hub is told in the end."""

    def found(report: Report) -> bool:
        told = report.settings
        return told is not None and told.latest == number and told.outcome in (outcomes or (Outcome.KEPT,))

    await until(lambda: any(map(found, hub.reports)))
    told = next(report.settings for report in hub.reports if found(report))
    assert told is not None
    return told


async def command(hub: HubStub, agent: Agent, number: int, name: str, **arguments: str) -> CommandReport:
    await until(lambda: hub.introduction is not None)
    agent.orders.take(hub.order(number, command=name, arguments=arguments))
    await until(lambda: any(report.command and report.command.number == number for report in hub.reports))
    return next(report.command for report in hub.reports if report.command and report.command.number == number)


async def test_pushed_settings_are_applied_without_a_restart_and_stay_after_one(hub: HubStub, local: LocalFile) -> None:
    async with Agent.started(local, forward=True) as agent:
        incarnation = (await agent.status())["buffer"]["incarnation"]
        await agent.append("boiler", records(3))
        await push(hub, agent, 10, BOILER_FIRST)
        assert (await heard(hub, 10)).running == 10
        status = await agent.status()
        assert status["buffer"]["incarnation"] == incarnation
        assert status["buffer"]["max_bytes"] == 64 * 2**20
        assert status["buffer"]["streams"][0]["priority"] == 9
        assert (status["orders"]["running"], status["orders"]["probing"]) == (10, False)
        await agent.append("boiler", records(3, start=3))
        await agent.flush()
    async with Agent.started(local, forward=True) as agent:
        assert agent.running.settings.streams["boiler"].priority == 9
    assert hub.ledger.of("boiler") == records(6)


async def test_invalid_and_forbidden_settings_are_refused_with_all_reasons(hub: HubStub, local: LocalFile) -> None:
    async with Agent.started(local, forward=True) as agent:
        await push(hub, agent, 10, "[seal]\nlinger = 'soon'\n[streams.boiler]\nprio = 3\n")
        told = await heard(hub, 10, Outcome.REFUSED)
        assert told.running == 0
        assert {problem.split(":")[1].strip() for problem in told.problems} == {"streams.boiler.prio", "seal.linger"}
        await push(hub, agent, 11, "state_dir = '/tmp'\n[orders]\naccept = ['inputs']\n[tables.x]\ndatabase = 'x.db'\n")
        told = await heard(hub, 11, Outcome.REFUSED)
        refused = [problem.split(":")[0] for problem in told.problems]
        assert refused == ["state_dir", "orders.accept", "tables.x.database"]
        await push(hub, agent, 12, "[buffer]\nmax_bytes = '16 TiB'\n")
        assert "the disk has room for" in (await heard(hub, 12, Outcome.REFUSED)).problems[0]
        assert agent.running.settings == local.settings


async def test_settings_that_cut_the_agent_off_are_rolled_back_by_itself(hub: HubStub, local: LocalFile) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    async with Agent.started(local, forward=True) as agent:
        await agent.append("boiler", records(1))
        await push(hub, agent, 10, f"[forward]\nhub = ['127.0.0.1:{port}']\n", probe_s=1)
        told = await heard(hub, 10, Outcome.ROLLED_BACK)
        assert (told.running, told.problems) == (0, ["the hub was not reached for 1 s"])
        await agent.append("boiler", records(1, start=1))
        await agent.flush()
        assert agent.running.settings.forward == local.settings.forward
    assert hub.ledger.of("boiler") == records(2)


async def test_another_address_of_the_hub_is_kept(hub: HubStub, local: LocalFile) -> None:
    async with Agent.started(local, forward=True) as agent:
        await push(hub, agent, 10, f"[forward]\nhub = ['127.0.0.1:{hub.port}']\nheartbeat = '2 s'\n", probe_s=1)
        assert (await heard(hub, 10)).running == 10


async def test_a_hub_that_is_told_by_another_road_is_asked_for_an_answer_nevertheless(
    hub: HubStub, tmp_path: Path
) -> None:
    """Else a site with a long heartbeat, whose reports go by MQTT, would take every good setting back."""
    (tmp_path / "agent.toml").write_text('state_dir = "state"\n[forward]\nheartbeat = "1 h"\n')
    local = load_file(tmp_path / "agent.toml")
    await join(hub, local.settings)
    async with Agent.started(local, forward=True) as agent:
        await until(lambda: hub.introduction is not None)

        def carry() -> None:
            if raw := agent.orders.report():
                hub.hear(raw)

        agent.orders.listen(carry)
        await push(hub, agent, 10, "[seal]\nmax_records = 500", probe_s=1)
        assert (await heard(hub, 10)).running == 10


async def test_inputs_come_go_and_change_without_losing_or_doubling_a_line(
    hub: HubStub, local: LocalFile, tmp_path: Path
) -> None:
    log, written = tmp_path / "app.log", 0

    def write(count: int) -> None:
        nonlocal written
        with log.open("a") as file:
            file.writelines(f'{{"ts": 1795435200, "n": {n}}}\n' for n in range(written, written + count))
        written += count

    write(10)
    text = "[inputs.log]\ntype = 'tail'\npath = 'app.log'\nstream = 'log'\nformat = 'ndjson'\npoll = '%s'\n"
    async with Agent.started(local, forward=True) as agent:
        await agent.running.collect()
        for number, poll in enumerate(("10 ms", "11 ms", "12 ms", "13 ms"), 10):
            await push(hub, agent, number, text % poll)
            for _ in range(20):
                write(5)
                await asyncio.sleep(0)
            await heard(hub, number)
        await until(lambda: len(hub.ledger.of("log")) == written)
        await push(hub, agent, 20, "")
        await heard(hub, 20)
        assert agent.running.inputs.doors == []
    assert [record["n"] for record in hub.ledger.of("log")] == list(range(written))


async def test_an_input_that_cannot_run_rolls_the_settings_back_at_once(hub: HubStub, local: LocalFile) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = f"[inputs.api]\ntype = 'http'\nlisten = '127.0.0.1:{other.getsockname()[1]}'\n"
        async with Agent.started(local, forward=True) as agent:
            await agent.running.collect()
            await push(hub, agent, 10, taken, probe_s=3600)
            told = await heard(hub, 10, Outcome.ROLLED_BACK)
    assert told.problems[0].startswith("inputs.api: ")


async def test_a_program_that_has_its_settings_by_itself_is_not_changed(hub: HubStub, local: LocalFile) -> None:
    async with Agent.started(local.settings, forward=True) as agent:
        await push(hub, agent, 10, "[seal]\nmax_records = 500")
        assert "part of a program" in (await heard(hub, 10, Outcome.REFUSED)).problems[0]
        assert hub.introduction is not None
        assert hub.introduction.accepts == []


async def test_an_owner_who_takes_no_orders_gets_none(hub: HubStub, local: LocalFile, tmp_path: Path) -> None:
    async with Agent.started(local, forward=True) as agent:
        await push(hub, agent, 10, "[seal]\nmax_records = 500")
        await heard(hub, 10)
        raw = hub.order(11, settings="")
    alone = file_in(tmp_path, "[orders]\nenabled = false\n")
    async with Agent.started(alone, forward=True) as agent:
        assert agent.running.settings == alone.settings
        agent.orders.take(raw)
        assert agent.orders.status()["refused"] == {"disabled": 1}
        assert agent.orders.report() is None


async def test_settings_that_no_longer_fit_the_file_are_rolled_back_at_the_start(
    hub: HubStub, local: LocalFile, tmp_path: Path
) -> None:
    async with Agent.started(local, forward=True) as agent:
        await push(hub, agent, 10, "[seal]\nmax_bytes = '512 KiB'")
        await heard(hub, 10)
    edited = file_in(tmp_path, ACCEPT.replace('"seal", ', ""))
    async with Agent.started(edited, forward=True) as agent:
        told = await heard(hub, 10, Outcome.ROLLED_BACK)
        assert agent.running.settings == edited.settings
    assert (told.running, told.problems[0].split(" (")[0]) == (
        0,
        "seal.max_bytes: this site does not let its hub change it",
    )


async def test_commands_are_done_and_answered(hub: HubStub, local: LocalFile) -> None:
    async with Agent.started(local, forward=True) as agent:
        await agent.append("boiler", records(20))
        assert (await command(hub, agent, 1, "flush")).done
        assert len(hub.ledger.of("boiler")) == 20
        resent = await command(hub, agent, 2, "resend", stream="boiler", first="5", last="6")
        assert (resent.done, "20 record(s)" in resent.text) == (True, True)
        await until(lambda: hub.ledger.resent == 20)
        assert (await command(hub, agent, 3, "pause", stream="boiler")).done
        await agent.append("boiler", records(5, start=20))
        await agent.append("pump", records(5))
        await agent.flush()
        assert len(hub.ledger.of("pump")) == 5
    async with Agent.started(local, forward=True) as agent:
        assert (await agent.status())["orders"]["paused"] == ["boiler"]
        await agent.append("pump", records(1))
        await agent.flush()
        assert len(hub.ledger.of("boiler")) == 20
        assert (await command(hub, agent, 4, "resume", stream="boiler")).done
        await until(lambda: len(hub.ledger.of("boiler")) == 25)
        epochs, renewed = len(hub.ledger.epochs), hub.requests.count("POST /v1/renew")
        assert (await command(hub, agent, 5, "rotate-keys")).done
        assert hub.requests.count("POST /v1/renew") == renewed + 1
        await agent.append("boiler", records(1))
        await agent.flush()
        assert len(hub.ledger.epochs) == epochs + 1
        assert (await command(hub, agent, 6, "log-level", level="debug", **{"for": "60"})).done
        assert not (await command(hub, agent, 7, "log-level", level="loud")).done
        assert "knows no command" in (await command(hub, agent, 8, "dance")).text


async def test_a_support_bundle_has_no_secrets_in_it(hub: HubStub, local: LocalFile, tmp_path: Path) -> None:
    (tmp_path / "agent.toml").write_text(QUICK + "[site_labels]\nwifi_password = 'hush'\nurl = 'http://me:hush@x'\n")
    async with Agent.started(load_file(tmp_path / "agent.toml"), forward=True) as agent:
        bundle = (await command(hub, agent, 1, "support-bundle")).data
    with zipfile.ZipFile(io.BytesIO(bundle)) as archive:
        assert set(archive.namelist()) == {"versions.json", "settings.json", "doctor.json", "status.json", "log.txt"}
        everything = b"".join(archive.read(name) for name in archive.namelist())
        shown = {each["key"]: each["value"] for each in json.loads(archive.read("settings.json"))}
    identity = json.loads((local.settings.state_dir / "identity" / "identity.json").read_text())
    for secret in ("hush", identity["signing_key"], identity["tls_key"].splitlines()[1]):
        assert secret.encode() not in everything
    assert shown["site_labels.url"] == "http://…@x"


async def test_a_command_that_was_under_way_when_the_agent_ended_is_not_begun_again(
    hub: HubStub, local: LocalFile
) -> None:
    async with Agent.started(local, forward=True) as agent:
        await until(lambda: hub.introduction is not None)
        order = hub.order(5, command="flush", arguments={"timeout_s": "3600"})
        await hub.cut_link()
        await agent.append("boiler", records(1))
        agent.orders.take(order)
        await until(lambda: load(local.settings.state_dir).begun == "flush")
    await hub.restore_link()
    async with Agent.started(local, forward=True) as agent:
        agent.orders.take(order)
        await until(lambda: any(report.command and report.command.number == 5 for report in hub.reports))
        await until(lambda: agent.orders.status()["refused"] == {"repeated": 1})
    answer = next(report.command for report in hub.reports if report.command)
    assert (answer.done, answer.text.split(":")[0]) == (False, "interrupted")
