"""The web application: the routes, their problems, and an OpenAPI description that is true."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI
from fastapi.routing import APIRoute

from farshore_hub.web.auth import CERTIFICATE_SCHEME
from farshore_hub.web.framework import answer_with_problems
from farshore_hub.web.pages.install import install
from farshore_hub.web.problems import Problem
from farshore_hub.web.routes import (
    alerts,
    audit,
    config,
    fleet,
    followed,
    health,
    hours,
    misfits,
    orders,
    promises,
    records,
    reference,
    sites,
    sites_door,
    tables,
)
from farshore_hub.web.services import Services
from farshore_protocol import __version__

_ROUTERS: Final = (
    sites_door.router,
    followed.router,
    sites.router,
    fleet.router,
    records.router,
    hours.router,
    alerts.router,
    promises.router,
    audit.router,
    config.router,
    orders.router,
    tables.router,
    misfits.router,
    reference.router,
    health.router,
)
_CERTIFICATE: Final = {
    "type": "mutualTLS",
    "description": "a client certificate of this hub's CA, as a site gets it by enrolment and renewal",
}


def make_app(services: Services) -> FastAPI:
    """The application over `services`. Its interactive pages are off: they would load scripts from elsewhere."""
    app = _DescribedApp(
        title="Farshore hub", version=__version__, docs_url=None, redoc_url=None, generate_unique_id_function=_name_of
    )
    app.state.services = services
    answer_with_problems(app, [route for router in _ROUTERS for route in router.routes])
    for router in _ROUTERS:
        app.include_router(router)
    install(app, services)
    return app


class _DescribedApp(FastAPI):
    def openapi(self) -> dict[str, Any]:
        """The description, with what FastAPI does not know: problems, and sign-in by certificate."""
        if not self.openapi_schema:
            described = super().openapi()
            components = described.setdefault("components", {})
            components.setdefault("schemas", {})["Problem"] = Problem.model_json_schema()
            components.setdefault("securitySchemes", {})[CERTIFICATE_SCHEME] = _CERTIFICATE
        return super().openapi()


def _name_of(route: APIRoute) -> str:
    return route.name
