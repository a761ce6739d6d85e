"""How the agent speaks TLS: 1.3 only, one pinned CA, and no look at the clock.

A site's clock may stand in 1970. If it were believed, the site could not connect, and so never learn the time
(docs/decisions/0006-clocks-of-sites.md). What the pin gives does not depend on time: only the hub's own CA is trusted.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Final

from farshore_agent.errors import IdentityError

NO_CHECK_TIME: Final = ssl.VerifyFlags(0x200000)
"""X509_V_FLAG_NO_CHECK_TIME of OpenSSL; the ssl module has no name for it."""


def pinned_context(ca_pem: str, chain: Path | None = None) -> ssl.SSLContext:
    """Trusts the hub's CA alone. With `chain`, a file of certificate and key, the site signs in with it.

    Raises:
        IdentityError: the CA or the chain cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_flags |= NO_CHECK_TIME
    try:
        context.load_verify_locations(cadata=ca_pem)
        if chain is not None:
            context.load_cert_chain(chain, password=_no_password)
    except (ssl.SSLError, ValueError, TypeError) as error:  # the latter two: no text, or not ASCII
        reason = getattr(error, "reason", None) or error
        raise IdentityError(
            f"OpenSSL cannot use the site's certificate, its key or the hub's CA: {reason}",
            remedy="restore the identity's folder from a backup, or enrol again with a new token and --force",
        ) from None
    return context


def _no_password() -> str:
    """A key that asks for a password is none of ours; without this OpenSSL would ask at the terminal, and wait."""
    raise ValueError("the key is locked with a password")


def unverified_context() -> ssl.SSLContext:
    """For one request only: the CA certificate itself, whose hash is compared with the one in the join token."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
