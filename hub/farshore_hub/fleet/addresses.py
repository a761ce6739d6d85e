"""Addresses under which the hub is reached, `https://HOST:PORT`, and the names that its certificate bears for them."""

from __future__ import annotations

import ipaddress
import re
from typing import Final
from urllib.parse import urlsplit

from cryptography import x509

HUB_NAME: Final = "farshore-hub"
"""Stands in every hub certificate, so that a site that pins the CA can reach its hub under any address."""

MAX_ADDRESSES: Final = 8
MAX_ADDRESS_CHARS: Final = 300
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
_HOST: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,62})(\.[a-z0-9]([a-z0-9-]{0,62}))*\.?", re.IGNORECASE)


def check_address(text: str) -> str:
    """Return the address in the form `https://HOST:PORT` (or `http://` for a hub behind its own proxy on loopback).

    Raises:
        ValueError: with the rule in its text.
    """
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port, parts = "", None, urlsplit("")
    usable = parts.scheme in {"https", "http"} and (_is_ip(host) or _HOST.fullmatch(host))
    if not usable or parts.path.strip("/") or parts.query or parts.username or len(text) > MAX_ADDRESS_CHARS:
        raise ValueError(f"{text[:80]!r} is not an address: write it as https://HOST:PORT")
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}:{port or (443 if parts.scheme == 'https' else 80)}"


def names_of(addresses: list[str]) -> list[x509.GeneralName]:
    """The subject alternative names for a hub with these addresses; loopback is always among them."""
    hosts = [urlsplit(address).hostname or "" for address in addresses]
    return [_general_name(host) for host in dict.fromkeys([HUB_NAME, *hosts, *_LOOPBACK])]


def split_listen(text: str) -> tuple[str, int]:
    """`HOST:PORT` as its parts; the host of `:8443` is all interfaces.

    Raises:
        ValueError: with the rule in its text.
    """
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:  # noqa: PLR2004
        raise ValueError(f"{text[:80]!r} is not a listen address: write it as HOST:PORT")
    return host.strip("[]") or "0.0.0.0", int(port)  # noqa: S104


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches that host."""
    return host == "localhost" or (_is_ip(host) and ipaddress.ip_address(host).is_loopback)


def _general_name(host: str) -> x509.GeneralName:
    return x509.IPAddress(ipaddress.ip_address(host)) if _is_ip(host) else x509.DNSName(host)


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
