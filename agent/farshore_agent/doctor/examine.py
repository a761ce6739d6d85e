"""The whole examination, in the order in which one thing stands on the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from farshore_agent import status
from farshore_agent.buffer.connection import Malformed
from farshore_agent.doctor.link import load_identity, look_at_certificate, look_at_clock, look_at_link
from farshore_agent.doctor.machine import holder, look_at_folder
from farshore_agent.doctor.store import look_at_buffer, look_at_history
from farshore_agent.errors import BufferBroken
from farshore_agent.settings import AgentSettings
from farshore_protocol.messages import Reason
from farshore_protocol.ports import Clock
from farshore_shell.findings import Fault, Finding, Report, Severity


async def examine(
    settings: AgentSettings,
    *,
    buffer: Path,
    identity_dir: Path,
    link: dict[str, Any] | None,
    is_live: bool,
    offline: bool,
    clock: Clock,
    tell: Callable[[int], None],
) -> Report:
    """Look at everything and change nothing.

    Args:
        settings: of the agent; that they could be read is the first thing that was found.
        buffer: the file.
        identity_dir: the folder.
        link: what the running agent says of its link, if it runs.
        is_live: whether an agent runs on this state folder.
        offline: do not ask the hub.
        clock: this machine's.
        tell: is told how many bytes were read.
    """
    report = Report(looked_at=["settings"])
    _note(report, f"state folder {settings.state_dir}", look_at_folder(settings))
    pid = holder(settings.state_dir)
    if pid is not None and not is_live:
        what = f"process {pid} has the state folder and does not answer on its socket"
        remedy = "look into its log; if it hangs, stop it: nothing that was acknowledged is lost"
        _note(report, "", [Finding("no-answer", Severity.TO_DO, what, Fault.OURS, remedy)])
    else:
        report.looked_at.append(f"agent: {'running' if is_live else 'not running'}")
    _look_at_store(report, buffer, settings.buffer.max_bytes, is_live=is_live, tell=tell)
    identity = load_identity(identity_dir)
    if isinstance(identity, Finding):
        report.findings.append(identity)
        return report
    _note(report, f"identity of {identity.site}", look_at_certificate(identity, clock.now_us()))
    last = link or (status.read(settings.state_dir) or {}).get("link")
    _note(report, "clock", look_at_clock(last))
    if not offline:
        addresses = settings.forward.hub or tuple(identity.membership.addresses)
        findings = await look_at_link(identity, addresses, identity_dir, clock)
        _note(report, f"link to {', '.join(addresses)}", findings)
    return report


def repairs_done(report: Report, found: list[str], buffer: dict[str, Any]) -> None:
    """What a repair has changed of the report: what could be repaired is, what is lost has receipts.

    Args:
        report: as it was before.
        found: what the repair found.
        buffer: that part of the status after it.
    """
    noted = {finding.what for finding in report.findings if finding.code == "repaired-before"}
    told = {finding.what for finding in report.findings if finding.code == "lost-before"}
    report.repaired += dict.fromkeys([*found, *(line for line in buffer["repairs"] if line not in noted)])
    if not report.repaired:
        report.repaired.append("nothing: there was nothing to repair in the buffer")
    still = [finding for finding in report.findings if finding.severity is not Severity.TO_DO]
    report.findings = [*still, *(each for each in report.findings if each not in still and not _is_repaired(each))]
    for stream in buffer["streams"]:
        lost = stream["receipted"].get(Reason.DAMAGED.value, 0)
        what = f"{lost} record(s) of {stream['name']} have receipts: they were lost to damage"
        if lost and not any(f"of {stream['name']} were" in line and line.startswith(f"{lost} ") for line in told):
            report.findings.append(
                Finding("lost", Severity.LOST, what, Fault.DISK, "the hub is told; have the disk checked")
            )


def _is_repaired(finding: Finding) -> bool:
    return finding.code.startswith("buffer-")


def _look_at_store(report: Report, path: Path, max_bytes: int, *, is_live: bool, tell: Callable[[int], None]) -> None:
    if not path.exists():
        report.looked_at.append("buffer: none yet")
        return
    _note(report, f"buffer {path}", look_at_buffer(path, is_live=is_live, tell=tell))
    try:
        report.findings += look_at_history(path, is_live=is_live, max_bytes=max_bytes)
    except (Malformed, BufferBroken, ValueError, TypeError):
        return  # that the file cannot be read was found already


def _note(report: Report, what: str, findings: Iterable[Finding]) -> None:
    found = list(findings)
    report.findings += found
    if not found:
        report.looked_at.append(what)
