"""Where a webhook may go: the name is looked up once, its addresses are judged, and only those are connected to.

Addresses of this machine and of private networks are allowed: whoever writes `hub.toml` owns the hub, no API sets an
address, and a receiver in the plant is the usual one. Never allowed is what only an attack would name: link-local
addresses (a cloud's metadata service answers there), multicast, and addresses that mean none.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket

from farshore_hub.notify.channel import NotDelivered


async def addresses_of(host: str, port: int) -> list[str]:
    """The addresses of a host that may be connected to, in the resolver's order.

    Raises:
        NotDelivered: it has none, or one that is never allowed.
    """
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise NotDelivered(f"the name {host!r} is not found: {error}") from None
    addresses = list(dict.fromkeys(str(address[0]) for *_, address in found))
    for address in addresses:
        if is_forbidden(address):
            raise NotDelivered(f"{host!r} is {address}, where no receiver of alerts can be")
    return addresses


def is_forbidden(address: str) -> bool:
    """Whether no receiver can be at that address."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        ip = ip.ipv4_mapped or ip
    return ip.is_link_local or ip.is_multicast or ip.is_unspecified or (ip.is_reserved and not ip.is_loopback)
