"""How the agent speaks TLS: 1.3 only, one pinned CA, and no look at the clock.

A site's clock may stand in 1970. If it were believed, the site could not connect, and so never learn the time
(docs/decisions/0006-clocks-of-sites.md). What the pin gives does not depend on time: only the hub's own CA is trusted.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Final

NO_CHECK_TIME: Final = ssl.VerifyFlags(0x200000)
"""X509_V_FLAG_NO_CHECK_TIME of OpenSSL; the ssl module has no name for it."""


def pinned_context(ca_pem: str, chain: Path | None = None) -> ssl.SSLContext:
    """Trusts the hub's CA alone. With `chain`, a file of certificate and key, the site signs in with it.

    Raises:
        ssl.SSLError: the CA or the chain cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_verify_locations(cadata=ca_pem)
    context.verify_flags |= NO_CHECK_TIME
    if chain is not None:
        context.load_cert_chain(chain)
    return context


def unverified_context() -> ssl.SSLContext:
    """For one request only: the CA certificate itself, whose hash is compared with the one in the join token."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
