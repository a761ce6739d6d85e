"""Opens an initialised data directory: settings, keys, database. What quick commands need; `app` adds the rest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine

from farshore_hub import settings
from farshore_hub.errors import NotReady
from farshore_hub.fleet.context import Fleet
from farshore_hub.fleet.keys import HubKeys
from farshore_hub.reports import Reporter
from farshore_hub.settings import Place
from farshore_hub.store import version
from farshore_hub.store.engine import open_engine
from farshore_shell.system import World, real_world


@dataclass(frozen=True, slots=True)
class OpenedHub:
    """An opened data directory."""

    place: Place
    keys: HubKeys
    engine: Engine
    fleet: Fleet


@contextmanager
def open_hub(data_dir: Path) -> Iterator[OpenedHub]:
    """Open a hub whose database is of this version, and close it at the end.

    Raises:
        NotReady, SettingsInvalid: as their texts say.
    """
    place = settings.load(data_dir)
    keys = HubKeys.load(place.keys)
    with opened_engine(place) as engine:
        wrong = schema_fault(engine)
        if wrong:
            raise NotReady(wrong, remedy="farshore-hub db upgrade")
        yield OpenedHub(place, keys, engine, fleet_of(place, keys, engine))


@contextmanager
def opened_engine(place: Place) -> Iterator[Engine]:
    """The database, whatever its version."""
    engine = open_engine(place.database_url)
    try:
        yield engine
    finally:
        engine.dispose()


def schema_fault(engine: Engine) -> str:
    """What is wrong with the database's version, or nothing."""
    current, newest = version.current(engine), version.newest()
    if current == newest:
        return ""
    return f"the database is at version {current or 'none'}, this farshore-hub needs {newest}"


def fleet_of(place: Place, keys: HubKeys, engine: Engine, world: World | None = None) -> Fleet:
    """The fleet over that database and those keys, perhaps with another time and randomness than the machine's."""
    rules = place.settings.certificates
    world = world or real_world()
    return Fleet(
        engine, keys, place.settings.addresses, rules.site_life, rules.renewal_grace, world.clock, world.random
    )


def reporter_of(hub: OpenedHub) -> Reporter:
    """Completeness of that hub, by its settings."""
    rules = hub.place.settings
    return Reporter(hub.fleet, rules.completeness.silent_after, rules.sites.max_kept_bytes)
