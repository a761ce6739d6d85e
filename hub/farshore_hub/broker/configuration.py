"""The settings of nats-server, made for one run. Pure.

JSON, which nats-server reads like its own format. TLS 1.3 and a certificate of this hub's CA for whoever comes from
outside; what the hub itself needs of it is on loopback, with passwords that live as long as the run.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from farshore_hub.broker.rights import ACCOUNT
from farshore_protocol.limits import KIB, MIB
from farshore_protocol.topics import MAX_PACKET_BYTES

GATE: Final = "gate"
"""Answers who may connect."""
SYSTEM: Final = "system"
"""Cuts off who may no longer be connected."""

MAX_STORE_BYTES: Final = 1024 * MIB
"""Retained settings and reports: of 10,000 sites about 50 MiB."""
MAX_MEMORY_STORE_BYTES: Final = 64 * MIB
MAX_PENDING_BYTES: Final = 64 * MIB
"""What one connection may leave unread before it is cut: for the hub, to which all retained reports come at once."""

_MAX_LOG_BYTES: Final = 4 * MIB
_ANSWER_S: Final = 15
"""Until the hub has said who may connect; thousands may come at once after a restart."""


@dataclass(frozen=True, slots=True)
class Run:
    """What one run of the broker is made of.

    Attributes:
        folder: private; holds `tls.pem`, `ca.pem`, the log, and the store, which need not outlive the run.
        host, port: where it listens for sites.
        issuer: name of the key that signs who may connect.
        password: of the hub at the broker's loopback port.
    """

    folder: Path
    host: str
    port: int
    issuer: str
    max_connections: int
    password: str = field(repr=False)

    @property
    def file(self) -> Path:
        """The settings."""
        return self.folder / "nats.conf"

    @property
    def log(self) -> Path:
        """What it says."""
        return self.folder / "nats.log"

    @property
    def store(self) -> Path:
        """What it keeps."""
        return self.folder / "store"

    @property
    def ports(self) -> Path:
        """Where it says on which loopback port it can be asked."""
        return self.folder / "ports"

    @property
    def certificate(self) -> Path:
        """Its key and certificate."""
        return self.folder / "tls.pem"

    @property
    def ca(self) -> Path:
        """Whose certificates it takes."""
        return self.folder / "ca.pem"


def configuration(run: Run) -> bytes:
    """The text of the file."""

    def user(name: str) -> dict[str, object]:
        return {"users": [{"user": name, "password": run.password}]}

    return json.dumps(
        {
            "server_name": "farshore",
            "listen": "127.0.0.1:-1",
            "ports_file_dir": str(run.ports),
            "log_file": str(run.log),
            "logfile_size_limit": _MAX_LOG_BYTES,
            "logfile_max_num": 2,
            "max_connections": run.max_connections,
            "max_payload": MAX_PACKET_BYTES,
            "max_pending": MAX_PENDING_BYTES,
            "max_control_line": 4 * KIB,
            "jetstream": {
                "store_dir": str(run.store),
                "max_memory_store": MAX_MEMORY_STORE_BYTES,
                "max_file_store": MAX_STORE_BYTES,
            },
            "mqtt": {
                "host": run.host,
                "port": run.port,
                "consumer_memory_storage": True,
                "reject_qos2_publish": True,
                "tls": {
                    "cert_file": str(run.certificate),
                    "key_file": str(run.certificate),
                    "ca_file": str(run.ca),
                    "verify": True,
                    "min_version": "1.3",
                    "timeout": _ANSWER_S,
                },
            },
            "accounts": {
                "GATE": user(GATE),
                "SYSTEM": user(SYSTEM),
                ACCOUNT: {"jetstream": "enabled"},
            },
            "system_account": "SYSTEM",
            "authorization": {
                "timeout": _ANSWER_S,
                "auth_callout": {"issuer": run.issuer, "account": "GATE", "auth_users": [GATE, SYSTEM]},
            },
        },
        ensure_ascii=False,
        indent=1,
    ).encode()
