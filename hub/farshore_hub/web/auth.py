"""Sign-in of each request: sites by client certificate, people and scripts by bearer token, and what a role may."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Final

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from farshore_hub.errors import Forbidden, Unauthenticated
from farshore_hub.fleet import api_tokens
from farshore_hub.fleet.api_tokens import Role
from farshore_hub.fleet.signin import Peer
from farshore_hub.web.door import client_certificate
from farshore_hub.web.services import Hub

CERTIFICATE_SCHEME: Final = "site certificate"
TOKEN_SCHEME: Final = "API token"  # noqa: S105 - the name of the scheme
MAX_TOKEN_CHARS: Final = 200

_bearer: Final = HTTPBearer(
    scheme_name=TOKEN_SCHEME, description="made by 'farshore-hub token add NAME'", auto_error=False
)


def needs(role: Role) -> Callable[..., Awaitable[None]]:
    """A dependency that lets pass whoever has a token of `role` or a greater one."""

    async def check(hub: Hub, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]) -> None:
        if credentials is None or len(credentials.credentials) > MAX_TOKEN_CHARS:
            raise Unauthenticated(
                "this route needs an API token", remedy="send 'Authorization: Bearer TOKEN'; see farshore-hub token add"
            )
        held = await hub.run(lambda: api_tokens.role_of(hub.fleet, credentials.credentials))
        if not held.covers(role):
            raise Forbidden(f"this route is for the role {role}, the token has the role {held}")

    return check


async def token_name(hub: Hub, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]) -> str:
    """The name of the token that a request brings; for routes that need one."""
    return await hub.run(lambda: api_tokens.name_of(hub.fleet, credentials.credentials if credentials else ""))


ClientCertificate = Annotated[Peer | None, Depends(client_certificate)]
TokenName = Annotated[str, Depends(token_name)]
Viewer: Final = Depends(needs(Role.VIEWER))
Operator: Final = Depends(needs(Role.OPERATOR))
Admin: Final = Depends(needs(Role.ADMIN))
