"""Brings a database to this version's tables, by Alembic's numbered migrations; `version` tells where it stands."""

from __future__ import annotations

from io import StringIO
from typing import Final

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine

from farshore_hub.store.engine import writing
from farshore_hub.store.version import current, newest

_SCRIPTS: Final = "farshore_hub.store:migrations"


def upgrade(engine: Engine) -> None:
    """Apply every migration that the database does not have yet, all in one transaction."""
    config = _config()
    with writing(engine) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def upgrade_sql(engine: Engine) -> str:
    """The SQL that `upgrade` would run now; empty when there is nothing to do."""
    since = current(engine)
    if since == newest():
        return ""
    config = _config()
    config.output_buffer = StringIO()
    config.attributes["dialect"] = engine.dialect.name
    command.upgrade(config, f"{since or 'base'}:head", sql=True)
    return config.output_buffer.getvalue()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", _SCRIPTS)
    return config
