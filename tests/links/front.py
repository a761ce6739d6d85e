"""What may stand before a hub and answer in its place: a proxy, a portal. It has a certificate that the site trusts.

Without an answer of its own it carries bytes to the hub and back, TLS and all, so that a site cannot tell.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from typing import Self

from tests.acceptance.hub import Hub
from tests.acceptance.proxy import Proxy

PORTAL = b"<html><title>Welcome to the harbour's network</title>Please sign in.</html>"


def page(status: str, body: bytes = b"", *headers: str) -> bytes:
    """An answer of a proxy or a portal."""
    lines = [f"HTTP/1.1 {status}", "content-type: text/html", f"content-length: {len(body)}", *headers]
    return "\r\n".join([*lines, "connection: close\r\n\r\n"]).encode() + body


class Front:
    """Listens on a port of its own. `answer` is what everybody is told; None lets everything through.

    Attributes:
        answered: how many requests were answered here.
    """

    def __init__(self, hub: Hub) -> None:
        self.answer: bytes | None = None
        self.answered = 0
        self._through = Proxy(hub.port)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(hub.data / "keys" / "tls.pem")
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Self:
        self._through.__enter__()
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        self._through.__exit__()

    def stand_in(self, answer: bytes | None) -> None:
        """Answer so from now on; what is connected is cut."""
        self._through.cut()
        self.answer = answer
        self._through.restore()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                site, _ = self._listener.accept()
                target = self._serve if self.answer is not None else self._through.carry
                threading.Thread(target=target, args=(site,), daemon=True).start()

    def _serve(self, site: socket.socket) -> None:
        with contextlib.suppress(OSError), self._context.wrap_socket(site, server_side=True) as secured:
            secured.settimeout(10)
            while b"\r\n\r\n" not in secured.recv(65_536):
                pass
            secured.sendall(self.answer or b"")
            self.answered += 1
            while secured.recv(65_536):
                pass
