"""Commands to sites, for people and scripts. Blocking; one at a time is under way to each site, and all are kept."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Engine

from farshore_hub.errors import Conflict, Invalid, Unknown
from farshore_hub.orders.making import Maker
from farshore_hub.orders.views import CommandView
from farshore_hub.receive.keys import ReceivingKeys
from farshore_hub.store import deeds, fleet, labels, orders, site_reports
from farshore_hub.store.deeds import DeedRow
from farshore_hub.store.engine import reading, writing
from farshore_hub.store.fleet import Site, SiteState
from farshore_hub.store.orders import OrderRow, OrderState
from farshore_protocol.names import BadName, check_any_stream, check_site
from farshore_protocol.ports import Clock

MAX_WAITING: Final = 16
"""Commands of one site that wait for their turn."""

MAX_LIFE_S: Final = 30 * 86_400
_US_PER_S: Final = 1_000_000

COMMANDS: Final[dict[str, tuple[str, ...]]] = {
    "flush": (),
    "pause": ("stream",),
    "resume": ("stream",),
    "resend": ("stream", "first", "last"),
    "rotate-keys": (),
    "support-bundle": (),
    "log-level": ("level", "minutes"),
}
"""What there is to command, with its arguments; all of them are needed. Agents do them in `running/duties`."""

_WHOLE: Final = re.compile(r"[1-9][0-9]{0,17}")
_LEVELS: Final = ("debug", "info", "warning", "error")
_MAX_MINUTES: Final = 1440


@dataclass(frozen=True, slots=True)
class CommandDesk:
    """Where people command sites."""

    engine: Engine
    keys: ReceivingKeys
    clock: Clock

    def order(
        self, sites: Collection[str], name: str, arguments: Mapping[str, str], life_s: int, by: str
    ) -> list[CommandView]:
        """Command these sites; nothing is commanded unless all of them can be.

        Args:
            sites: their names.
            name: a key of `COMMANDS`.
            arguments: all that the command has.
            life_s: a site that does not hear it in this time does not do it.
            by: who says so.

        Raises:
            Invalid: there is no such command, or an argument is wrong.
            Unknown: there is no such site.
            Conflict: a site takes no orders, or has too many waiting.
        """
        check(name, arguments)
        if not sites:
            raise Invalid("no site has these labels", remedy="farshore-hub config sites shows labels")
        if not 1 <= life_s <= MAX_LIFE_S:
            raise Invalid(f"a command lives for 1 s to {MAX_LIFE_S // 86_400} days")
        now_us = self.clock.now_us()
        maker = Maker(self.keys, now_us, by)
        said = " ".join([name, *(f"{key}={value}" for key, value in sorted(arguments.items()))])
        with writing(self.engine) as connection:
            found = fleet.find_sites(connection, filter(_is_site, sites))
            reports = site_reports.find(connection, [each.id for each in found.values()])
            waiting = orders.count_commands(connection)
            for site in sorted(sites):
                _check_site(site, found.get(site), introduced=reports.keys(), waiting=waiting)
            ids = [
                maker.command(connection, found[site].id, name, arguments, now_us + life_s * _US_PER_S)
                for site in sorted(sites)
            ]
            maker.commands(connection, {each.id for each in found.values()})
            for site in sorted(sites):
                deeds.note(connection, DeedRow(now_us, by, f"site {site}", "commanded", said))
            return [command_view(row) for row in orders.find_commands(connection, ids)]

    def chosen(self, wanted: Mapping[str, str]) -> list[str]:
        """The active sites whose labels have all these values, of those that take orders."""
        with reading(self.engine) as connection:
            known = labels.all_labels(connection)
            reports = site_reports.all_of_them(connection)
            sites = fleet.all_sites(connection)
        return [
            each.name
            for each in sites
            if each.state is SiteState.ACTIVE
            and each.id in reports
            and wanted.items() <= known.get(each.name, {}).items()
        ]

    def listed(self, site: str | None = None, limit: int = 100) -> list[CommandView]:
        """The newest commands, of that site or of all."""
        with reading(self.engine) as connection:
            return [command_view(row) for row in orders.listed_commands(connection, site, limit)]

    def find(self, ids: Sequence[int]) -> list[CommandView]:
        """These commands, as they stand.

        Raises:
            Unknown: there is no command of one of these numbers.
        """
        with reading(self.engine) as connection:
            rows = orders.find_commands(connection, ids)
        missing = set(ids) - {row.id for row in rows}
        if missing:
            raise Unknown(f"there is no command {min(missing)}", remedy="farshore-hub command list shows them")
        return [command_view(row) for row in rows]

    def data(self, number: int) -> bytes:
        """What the answer to a command brought, such as a support bundle.

        Raises:
            Unknown: there is no such command, or its answer brought nothing.
        """
        self.find([number])
        with reading(self.engine) as connection:
            data = orders.data_of(connection, number)
        if data is None:
            raise Unknown(f"the answer to command {number} brought no data, or is not there yet")
        return data


def check(name: str, arguments: Mapping[str, str]) -> None:
    """Check a command before anybody is told.

    Raises:
        Invalid: there is no such command, or an argument is missing, too much or wrong.
    """
    if name not in COMMANDS:
        raise Invalid(f"there is no command {name[:64]!r}", remedy=f"there are {', '.join(COMMANDS)}")
    wanted = COMMANDS[name]
    if set(arguments) != set(wanted):
        raise Invalid(f"the command {name} takes {', '.join(wanted) or 'no arguments'}")
    for key, value in arguments.items():
        if not _makes_sense(key, value):
            raise Invalid(f"{key}={value[:80]!r} makes no sense to {name}")
    if "first" in arguments and int(arguments["first"]) > int(arguments["last"]):
        raise Invalid("a range ends after it begins")


def _makes_sense(key: str, value: str) -> bool:
    if key == "level":
        return value in _LEVELS
    if key == "stream":
        return _is_stream(value)
    return bool(_WHOLE.fullmatch(value)) and (key != "minutes" or int(value) <= _MAX_MINUTES)


def _is_stream(name: str) -> bool:
    return _passes(check_any_stream, name)


def _is_site(name: str) -> bool:
    return _passes(check_site, name)


def _passes(check: Callable[[str], str], name: str) -> bool:
    try:
        check(name)
    except BadName:
        return False
    return True


def command_view(row: OrderRow) -> CommandView:
    """A command for people and scripts."""
    return CommandView(
        id=row.id,
        site=row.site,
        command=row.command or "",
        arguments=json.loads(row.arguments or "{}"),
        state=row.state,
        outcome=row.outcome,
        text=row.text,
        made_us=row.made_us,
        made_by=row.made_by,
        expires_us=row.expires_us,
        settled_us=row.settled_us,
    )


def is_settled(view: CommandView) -> bool:
    """Whether nothing more will become of it."""
    return view.state == OrderState.SETTLED


def _check_site(name: str, site: Site | None, *, introduced: Collection[int], waiting: Mapping[int, int]) -> None:
    if site is None:
        raise Unknown(f"there is no site {name[:80]!r}", remedy="'farshore-hub site list' shows all of them")
    if site.state is not SiteState.ACTIVE or site.id not in introduced:
        raise Conflict(
            f"site {name} takes no orders: it is {site.state.value}"
            + (" and has not introduced itself" if site.state is SiteState.ACTIVE else ""),
            remedy="its agent has to run, be new enough, and have reached this hub",
        )
    if waiting.get(site.id, 0) >= MAX_WAITING:
        raise Conflict(f"{MAX_WAITING} commands wait for site {name} already", remedy="wait until some are over")
