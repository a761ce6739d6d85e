"""What capturing a table would mean for its database, told before anything is touched; and the way back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw

from farshore_agent.errors import AgentError, ExitCode, Problem
from farshore_agent.settings.tables import Direction, TableSettings
from farshore_agent.tables.application import Application
from farshore_agent.tables.arrivals import Arrivals
from farshore_agent.tables.references import References
from farshore_agent.tables.schema import TableSchema, problems_of, read_schema
from farshore_agent.tables.shadow import FILE, Shadow
from farshore_agent.tables.sql import quoted, row, rows
from farshore_agent.tables.triggers import are_installed, log_name


@dataclass(frozen=True, slots=True)
class Examined:
    """What was found of one table of the settings.

    Attributes:
        problems: why it cannot be captured; nothing would be done then.
        would: what would be done, in sentences.
    """

    name: str
    table: str
    database: Path
    problems: list[Problem] = field(default_factory=list)
    would: list[str] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """As JSON."""
        problems = [{"key": each.key, "why": each.why, "remedy": each.remedy} for each in self.problems]
        found = {"name": self.name, "table": self.table, "database": str(self.database)}
        return {**found, "problems": problems, "would": self.would}


def examine(name: str, settings: TableSettings) -> Examined:
    """Look at one table; nothing is written."""
    found = Examined(name, settings.table or name, settings.database)
    at = f"tables.{name}"
    try:
        database = apsw.Connection(str(settings.database), flags=apsw.SQLITE_OPEN_READONLY)
    except apsw.Error as error:
        remedy = "name the application's file, and give the agent's user the right to read and write it and its folder"
        found.problems.append(Problem(f"{at}.database", f"{settings.database}: {error}", remedy))
        return found
    try:
        if settings.direction is Direction.DOWN and read_schema(database, found.table) is None:
            found.would.append(f"the table {found.table} would be made, with the columns that the hub's has")
            return found
        found.problems.extend(problems_of(database, at, found.table, settings.key, settings.columns))
        schema = None if found.problems else read_schema(database, found.table, settings.key)
        if schema:
            found.problems.extend(_unknown_counters(at, schema, settings))
        if schema and settings.direction.is_captured:
            found.would.extend(_would(database, name, schema, settings))
        if schema and settings.direction.is_followed:
            found.would.extend(_would_follow(database, schema, settings))
    except apsw.Error as error:
        found.problems.append(Problem(f"{at}.database", f"{settings.database}: {error}", "is this a SQLite database?"))
    finally:
        database.close()
    return found


def _unknown_counters(at: str, schema: TableSchema, settings: TableSettings) -> Iterator[Problem]:
    """Counters that are not captured. They keep nothing from being captured: a migration may drop a column."""
    captured = schema.captured(settings.columns)
    for name in settings.counters:
        if name not in captured:
            yield Problem(f"{at}.counters", f"{name!r} is not captured", f"captured are {', '.join(captured)}")


def _would(database: apsw.Connection, name: str, schema: TableSchema, settings: TableSettings) -> Iterator[str]:
    captured = schema.captured(settings.columns)
    yield f"rows are named by {', '.join(schema.key)}; captured: {', '.join(captured) or 'nothing else'}"
    (rows,) = row(database, f"SELECT count(*) FROM {quoted(schema.name)}")  # noqa: S608 - the name is quoted
    yield f"{rows} row(s) would be told first, in small pieces"
    if are_installed(database, name, schema):
        yield f"the table {log_name(name)} and its triggers are there already"
    else:
        yield f"the table {log_name(name)} and its triggers would be added to the database"
    mode = str(row(database, "PRAGMA journal_mode")[0])
    if mode != "wal":
        yield f"journal mode {mode}: a look keeps the application from committing for a moment; WAL would not"


def _would_follow(database: apsw.Connection, schema: TableSchema, settings: TableSettings) -> Iterator[str]:
    columns = ", ".join(schema.captured(settings.columns)) or "nothing else"
    yield f"the hub's rows would be written into it, by {', '.join(schema.key)}; {columns}"
    if settings.direction is Direction.DOWN:
        yield "a row that the hub does not have stays; an edit of one that it has goes when the hub's row changes"
    references = References.of(database, schema.name)
    for each in references.own:
        yield f"a row waits for the row of {each.parent} that its {', '.join(each.columns)} names"
    triggers = rows(
        database,
        "SELECT name FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ? COLLATE NOCASE "
        "AND name NOT LIKE '~_farshore~_%' ESCAPE '~'",
        (schema.name,),
    )
    if triggers:
        yield f"its triggers do not run for them: {', '.join(name for (name,) in triggers)}"


def release(state_dir: Path, name: str) -> str:
    """Remove what was added to an application's database, and forget the table; the database.

    Raises:
        AgentError: the table was never captured, or its database cannot be written.
    """
    if not (state_dir / FILE).exists():
        raise _Unknown(f"no table {name!r} was captured here")
    shadow = Shadow(state_dir / FILE)
    try:
        progress = shadow.tables().get(name)
        database = (progress.database if progress else "") or Arrivals(name, shadow).following.database
        if not database:
            raise _Unknown(f"no table {name!r} was captured here")
        application = Application(Path(database), name)
        application.remove()
        application.close()
        shadow.forget(name)
    except apsw.Error as error:
        raise AgentError(f"the database cannot be changed: {error}", remedy="try again when nobody writes it") from None
    finally:
        shadow.close()
    return database


class _Unknown(AgentError):
    """There is no such table."""

    exit_code = ExitCode.USAGE
    title = "there is no such table"
