"""The data directory: rights and room; the keys and how long they live; the port."""

from __future__ import annotations

import shutil
import socket
import stat
from collections.abc import Iterator
from typing import Final

from cryptography import x509

from farshore_hub.fleet.addresses import split_listen
from farshore_hub.fleet.keys import HubKeys
from farshore_hub.lake.files.opening import lake_of
from farshore_hub.settings import FILE, Place
from farshore_shell.findings import Fault, Finding, Severity

MIN_FREE_BYTES: Final = 1 << 30
SOON_US: Final = 90 * 86_400_000_000
_US_PER_S: Final = 1_000_000
_US_PER_DAY: Final = 86_400_000_000
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_CONNECT_S: Final = 3.0


def look_at_folder(place: Place) -> Iterator[Finding]:
    """Who may read the secrets, and how much room there is."""
    for path in (place.data_dir, place.data_dir / FILE, place.keys, *sorted(place.keys.glob("*"))):
        if path.exists() and path.stat().st_mode & _OTHERS:
            what = f"others than its owner may use {path}"
            yield Finding("open-to-others", Severity.TO_DO, what, Fault.OPERATOR, f"run: chmod go= {path}")
    for path in filter(None, (place.data_dir, lake_of(place).folder)):
        if path.exists() and (free := shutil.disk_usage(path).free) < MIN_FREE_BYTES:
            what = f"the disk under {path} has {free >> 20} MiB free"
            remedy = "make room: sites keep their records meanwhile, as far as their own disks allow"
            yield Finding("little-room", Severity.TO_DO, what, Fault.OPERATOR, remedy)


def look_at_keys(keys: HubKeys, now_us: int) -> Iterator[Finding]:
    """How long the CA and the TLS certificate live."""
    ca = x509.load_pem_x509_certificate(keys.ca.pem)
    yield from _life(
        "the hub's CA",
        ca,
        now_us,
        SOON_US,
        "farshore-hub keys rotate ca, and retire the old one when the sites were heard",
    )
    try:
        tls = x509.load_pem_x509_certificates(keys.tls_path.read_bytes())[0]
    except (OSError, ValueError):
        return  # serve makes one
    yield from _life("the hub's TLS certificate", tls, now_us, 0, "start the hub: it renews it by itself")


def _life(name: str, certificate: x509.Certificate, now_us: int, soon_us: int, remedy: str) -> Iterator[Finding]:
    left_us = int(certificate.not_valid_after_utc.timestamp()) * _US_PER_S - now_us
    if left_us < soon_us:
        days = left_us // _US_PER_DAY
        what = f"{name} ends in {days} day(s)" if left_us > 0 else f"{name} ended {-days} day(s) ago"
        yield Finding("certificate-ends", Severity.TO_DO, what, Fault.OPERATOR, remedy)


def look_at_port(place: Place) -> tuple[str, list[Finding]]:
    """Whether the port is served; a port that nobody serves is no fault by itself."""
    host, port = split_listen(place.settings.listen)
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - what to ask, not where to listen
    try:
        with socket.create_connection((host, port), timeout=_CONNECT_S):
            return f"port {port}: somebody listens", []
    except ConnectionRefusedError:
        return f"port {port}: free, the hub does not run", []
    except OSError as error:
        what = f"{host}:{port} cannot be used: {error}"
        finding = Finding("port", Severity.TO_DO, what, Fault.OPERATOR, "correct listen in hub.toml")
        return "", [finding]
