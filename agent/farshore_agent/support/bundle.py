"""The support bundle: one small ZIP file with everything that tells how a site stands, and nothing that is secret."""

from __future__ import annotations

import io
import json
import platform
import re
import sys
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from farshore_agent.doctor.link import load_identity, look_at_certificate, look_at_clock
from farshore_agent.doctor.machine import look_at_folder
from farshore_agent.settings import AgentSettings
from farshore_agent.settings.layers import Effective
from farshore_agent.settings.show import shown
from farshore_protocol import __version__
from farshore_protocol.limits import MAX_COMMAND_DATA_BYTES
from farshore_shell.findings import Finding

LIBRARIES: Final = ("apsw", "click", "cryptography", "httptools", "msgspec", "zstandard")
_MAX_STREAMS: Final = 200
_WITH_PASSWORD: Final = re.compile(r"://[^/\s@]+@")


async def bundle(
    effective: Effective, status: Mapping[str, Any], log: Iterable[str], identity_dir: Path, now_us: int
) -> bytes:
    """The ZIP file, of at most `MAX_COMMAND_DATA_BYTES`: the oldest log lines and most streams go if they must."""
    lines = [_WITH_PASSWORD.sub("://…@", line) for line in log]
    findings = _findings(effective.settings, status, identity_dir, now_us)
    files = {
        "versions.json": _versions(),
        "settings.json": [each.document() for each in shown(effective)],
        "doctor.json": [each.document() for each in findings],
        "status.json": status,
    }
    while True:
        made = _zipped(files, lines)
        if len(made) <= MAX_COMMAND_DATA_BYTES:
            return made
        if lines:
            lines = lines[len(lines) // 2 + 1 :]
        else:
            files["status.json"] = _shortened(status)


def _zipped(files: Mapping[str, Any], lines: list[str]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in files.items():
            archive.writestr(name, json.dumps(content, indent=1, ensure_ascii=False, default=str))
        archive.writestr("log.txt", "\n".join(lines))
    return out.getvalue()


def _shortened(status: Mapping[str, Any]) -> dict[str, Any]:
    streams = status["buffer"]["streams"][:_MAX_STREAMS]
    return {**status, "buffer": {**status["buffer"], "streams": streams, "left_off": True}}


def _findings(settings: AgentSettings, status: Mapping[str, Any], identity_dir: Path, now_us: int) -> Iterator[Finding]:
    """What the doctor finds without reading the whole buffer or asking the hub."""
    yield from look_at_folder(settings)
    yield from look_at_clock(status["link"])
    identity = load_identity(identity_dir)
    if isinstance(identity, Finding):
        yield identity
    else:
        yield from look_at_certificate(identity, now_us)


def _versions() -> dict[str, str]:
    return {
        "farshore-agent": __version__,
        "python": sys.version,
        "machine": platform.platform(),
        **{name: _version(name) for name in LIBRARIES},
    }


def _version(library: str) -> str:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return "not installed"
