"""A browser of the plainest kind: it keeps cookies, sends forms, and follows nothing by itself."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from urllib.parse import urlencode

from farshore_hub.fleet.api_tokens import Role
from tests.hub.web.running import Reply, RunningHub

FORM = "application/x-www-form-urlencoded"
_FORM_TOKEN = re.compile(r'name="form_token" value="([0-9a-f]{64})"')


@dataclass
class Browser:
    hub: RunningHub
    cookies: dict[str, str] = field(default_factory=dict)

    def get(self, path: str, **headers: str) -> Reply:
        return self._ask("GET", path, None, headers)

    def post(self, path: str, fields: dict[str, str], **headers: str) -> Reply:
        return self._ask("POST", path, urlencode(fields).encode(), {"Content-Type": FORM, **headers})

    def sign_in(self, role: Role) -> Browser:
        reply = self.post("/sign-in", {"token": self.hub.tokens[role], "next": "/"})
        assert (reply.status, reply.headers["location"]) == (303, "/"), reply
        return self

    def form_token(self) -> str:
        found = _FORM_TOKEN.search(self.get("/").body.decode())
        assert found
        return found[1]

    def do(self, path: str, **fields: str) -> Reply:
        """Send a form as the page itself would."""
        return self.post(path, {"form_token": self.form_token(), **fields})

    def _ask(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Reply:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        reply = self.hub.ask(method, path, body, headers=sent)
        for name, morsel in SimpleCookie(reply.headers.get("set-cookie", "")).items():
            self.cookies[name] = morsel.value
            if not morsel.value or morsel["max-age"] == "0":
                del self.cookies[name]
        return reply
