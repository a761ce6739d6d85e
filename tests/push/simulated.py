"""The simulated sites of a measurement, in processes of their own, and what they say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from farshore_hub.fleet.ca import SERIAL_BYTES, Validity, pem_of, private_pem, serial_number
from farshore_hub.fleet.enrol import certificate_id
from farshore_hub.opening import OpenedHub
from farshore_hub.store import fleet as store
from farshore_hub.store.engine import writing
from farshore_protocol import wire
from farshore_protocol.enrolment import Membership

WINDOW_S: Final = 1.0


def name_of(number: int) -> str:
    return f"site-{number:05}"


def enrolled(hub: OpenedHub, folder: Path, count: int) -> list[int]:
    """Make that many sites with one key and a certificate each, past the API; their ids."""
    tls, signing = ec.generate_private_key(ec.SECP256R1()), Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    now_us, ca, keys = hub.fleet.clock.now_us(), hub.keys.ca, hub.keys
    valid, certificates, ids = Validity.beginning(now_us, timedelta(days=30)), {}, []
    with writing(hub.engine) as connection:
        for number in range(count):
            name, serial = name_of(number), os.urandom(SERIAL_BYTES)
            site = store.insert_site(connection, name, now_us)
            store.activate_site(connection, site, signing.public_key().public_bytes_raw(), now_us)
            store.insert_certificate(connection, certificate_id(serial_number(serial)), site, now_us, valid.end_us)
            certificates[name] = pem_of(ca.issue_site(name, tls.public_key(), valid, serial)).decode()
            ids.append(site)
    member = Membership(
        "any", keys.hub, now_us, "", ca.pem.decode(), keys.public_signing_keys, keys.public_sealing_keys, []
    )
    (folder / "membership").write_bytes(wire.pack(member))
    (folder / "key.pem").write_bytes(private_pem(tls))
    (folder / "certificates").write_text(json.dumps(certificates))
    return ids


class Sites:
    """All simulated sites."""

    def __init__(self, folder: Path, place: str, count: int, processes: int) -> None:
        self.said: list[dict[str, Any]] = [{"up": 0, "made": 0}] * processes
        self.came: dict[str, list[int]] = {}
        self.history: list[tuple[float, int]] = []
        share = -(-count // processes)
        command = [sys.executable, "-m", "tests.push.sites", str(folder), place]
        self._children = [
            subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *command, str(n * share), str(min(count, (n + 1) * share))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            for n in range(processes)
        ]
        for number, child in enumerate(self._children):
            threading.Thread(target=self._read, args=(number, child), daemon=True).start()

    @property
    def up(self) -> int:
        return sum(each["up"] for each in self.said)

    @property
    def made(self) -> int:
        return sum(each["made"] for each in self.said)

    @property
    def pids(self) -> list[int]:
        return [child.pid for child in self._children]

    def stop(self) -> None:
        for child in self._children:
            child.kill()
            child.wait()

    def peak_since(self, since_s: float) -> float:
        """The most connections made in any second."""
        later = [(at, made) for at, made in sorted(self.history) if at > since_s]
        rates = [
            (made - earlier) / max(WINDOW_S, at - then)
            for index, (then, earlier) in enumerate(later)
            for at, made in later[index + 1 : index + 9]
            if at - then >= WINDOW_S
        ]
        return max(rates, default=0)

    def _read(self, number: int, child: subprocess.Popen[bytes]) -> None:
        assert child.stdout is not None
        for line in child.stdout:
            said = json.loads(line)
            for site, at_us in said.pop("came"):
                self.came.setdefault(site, []).append(at_us)
            self.said[number] = said
            self.history.append((said["at_us"] / 1e6, self.made))
