"""Puts the page into the web application."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from fastapi import FastAPI
from starlette.staticfiles import StaticFiles

from farshore_hub.web.pages import deeds, orders, routes, statements, tables
from farshore_hub.web.pages.route import Pages
from farshore_hub.web.services import Services

_STATIC: Final = Path(__file__).parent / "static"


def install(app: FastAPI, services: Services) -> None:
    """Make `app` answer for the page."""
    app.state.pages = Pages(services)
    for router in (routes.router, deeds.router, orders.router, statements.router, tables.router):
        app.include_router(router)
    app.mount("/static", StaticFiles(directory=_STATIC), name="static")
