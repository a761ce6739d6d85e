"""SQL of the fleet's configuration: its revisions, and the secrets that they name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select

from farshore_hub.store.dialect import upsert
from farshore_hub.store.schema import config_revisions, config_secrets


@dataclass(frozen=True, slots=True)
class RevisionRow:
    """A state that the configuration was given. Times are microseconds since 1970."""

    id: int
    made_us: int
    made_by: str
    note: str


@dataclass(frozen=True, slots=True)
class SecretRow:
    """A secret, sealed to the hub itself; `version` counts how often it was set."""

    name: str
    version: int
    sealed: bytes
    sealed_to: bytes
    set_us: int
    set_by: str


_REVISION = tuple(config_revisions.c[name] for name in RevisionRow.__dataclass_fields__)
_SECRET = tuple(config_secrets.c[name] for name in SecretRow.__dataclass_fields__)


def add_revision(connection: Connection, files: Mapping[str, str], made_by: str, note: str, now_us: int) -> int:
    """Keep a new revision and return its number."""
    row = {"made_us": now_us, "made_by": made_by[:63], "note": note, "files": json.dumps(dict(files), sort_keys=True)}
    added = connection.execute(insert(config_revisions).values(row).returning(config_revisions.c.id))
    return int(added.scalar_one())


def revisions(connection: Connection, limit: int) -> list[RevisionRow]:
    """The newest revisions."""
    rows = connection.execute(select(*_REVISION).order_by(config_revisions.c.id.desc()).limit(limit))
    return [RevisionRow(*row) for row in rows]


def files_of(connection: Connection, revision: int) -> dict[str, str] | None:
    """The files of a revision, path to text; None where there is none of that number."""
    files = connection.scalar(select(config_revisions.c.files).where(config_revisions.c.id == revision))
    return None if files is None else dict(json.loads(files))


def put_secret(connection: Connection, row: SecretRow) -> None:
    """Set a secret, in place of the one of that name."""
    values = {name: getattr(row, name) for name in SecretRow.__dataclass_fields__}
    upsert(connection, config_secrets, [values], [name for name in values if name != "name"])


def secrets(connection: Connection) -> dict[str, SecretRow]:
    """All secrets by name."""
    rows = connection.execute(select(*_SECRET).order_by(config_secrets.c.name))
    return {row.name: SecretRow(row[0], row[1], bytes(row[2]), bytes(row[3]), row[4], row[5]) for row in rows}


def delete_secret(connection: Connection, name: str) -> bool:
    """Forget a secret; False where there is none of that name."""
    return connection.execute(delete(config_secrets).where(config_secrets.c.name == name)).rowcount == 1
