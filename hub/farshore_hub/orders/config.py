"""What people do with the fleet's configuration: look what it would change, apply it, look back, go back. Blocking."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Final

from sqlalchemy import Connection, Engine

from farshore_hub.errors import Conflict, Invalid, Unknown
from farshore_hub.orders.fleet_settings import FleetSettings
from farshore_hub.orders.layers import Layers, LayersInvalid, Problem, read_layers
from farshore_hub.orders.rendering import Rendered, toml_of
from farshore_hub.orders.rollout import RolloutState, Strategy, check_strategy, stages_of
from farshore_hub.orders.said import checked_note
from farshore_hub.orders.views import ChangeView, PreviewView, ProblemView
from farshore_hub.receive.keys import ReceivingKeys
from farshore_hub.store import config, deeds, fleet, orders, rollouts, site_reports
from farshore_hub.store.config import RevisionRow
from farshore_hub.store.deeds import DeedRow
from farshore_hub.store.engine import reading, writing
from farshore_hub.store.fleet import Site, SiteState
from farshore_hub.store.orders import Ending, OrderRow
from farshore_hub.store.site_reports import ReportRow
from farshore_hub.store.told import Told, tell
from farshore_protocol.ports import Clock

MAX_SHOWN: Final = 100
"""Problems in one message."""

_US_PER_S: Final = 1_000_000
_NOTHING: Final = Layers(read_layers({}).fleet, (), {})


@dataclass(frozen=True, slots=True)
class Change:
    """What would change at one site: TOML before and after, as people may see it."""

    site: str
    before: str
    after: str
    is_introduced: bool


@dataclass(frozen=True, slots=True)
class Preview:
    """What layers would make of the fleet.

    Attributes:
        changes: of the sites whose settings would be others.
        same: how many stay as they are.
        problems: everything that stands against it, by site; empty name: of all.
    """

    changes: list[Change] = field(default_factory=list)
    same: int = 0
    problems: list[tuple[str, Problem]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Applied:
    """A revision on its way."""

    revision: int
    rollout: int
    sites: int


@dataclass(frozen=True, slots=True)
class ConfigDesk:
    """Where people give the fleet its configuration."""

    engine: Engine
    keys: ReceivingKeys
    clock: Clock

    def preview(self, files: Mapping[str, str], *, again: bool = False) -> Preview:
        """What these files would change, and what stands against it; `again`: also where they were rolled back.

        Raises:
            Invalid: the files cannot be read as layers.
        """
        with reading(self.engine) as connection:
            return _Comparison(connection, self.keys, _layers(files), again=again).preview()

    def apply(
        self, files: Mapping[str, str], strategy: Strategy, by: str, note: str = "", *, skip_invalid: bool = False
    ) -> Applied:
        """Keep these files as a revision and begin to roll it out.

        Args:
            files: path to text.
            strategy: how it is rolled out.
            by: who does it.
            note: why.
            skip_invalid: leave out sites that would refuse it, rather than refusing the whole.

        Raises:
            Invalid: the files, the strategy, the note, or what would be made of the files; nothing was changed.
            Conflict: another rollout is not over.
        """
        if wrong := check_strategy(strategy):
            raise Invalid(wrong)
        layers, note = _layers(files), checked_note(note)
        # In a transaction of its own: with many sites it takes a second, and parcels wait for one that writes.
        with reading(self.engine) as connection:
            _check_free(connection)
            comparison = _Comparison(connection, self.keys, layers, again=strategy.again)
            preview = comparison.preview()
        if preview.problems and not (skip_invalid and all(site for site, _ in preview.problems)):
            raise _invalid(preview.problems)
        refusing = {site for site, _ in preview.problems}
        names = [each.site for each in preview.changes if each.site not in refusing]
        now_us = self.clock.now_us()
        with writing(self.engine) as connection:
            rollouts.lock(connection)
            _check_free(connection)
            revision = config.add_revision(connection, files, by, note, now_us)
            number = _begin(connection, strategy, comparison.sites, names, RolloutOf(revision, by, now_us))
            text = f"rollout {number} to {len(names)} sites" + (f": {note}" if note else "")
            deeds.note(connection, DeedRow(now_us, by, f"revision {revision}", "applied", text))
        return Applied(revision, number, len(names))

    def history(self, limit: int = 100) -> list[RevisionRow]:
        """The newest revisions."""
        with reading(self.engine) as connection:
            return config.revisions(connection, limit)

    def files(self, revision: int) -> dict[str, str]:
        """The files of a revision, path to text.

        Raises:
            Unknown: there is none of that number.
        """
        with reading(self.engine) as connection:
            found = config.files_of(connection, revision)
        if found is None:
            raise Unknown(f"there is no revision {revision}", remedy="farshore-hub config history lists them")
        return found


@dataclass(frozen=True, slots=True)
class RolloutOf:
    """What is rolled out, by whom and when."""

    revision: int
    by: str
    now_us: int


class _Comparison:
    """The fleet under new layers beside the fleet as it was ordered to be."""

    def __init__(self, connection: Connection, keys: ReceivingKeys, layers: Layers, *, again: bool) -> None:
        self._again = again
        self.sites = {each.name: each for each in fleet.all_sites(connection)}
        self._connection = connection
        self._new = FleetSettings.of(connection, keys, layers)
        self._reports = site_reports.all_of_them(connection)
        self._ordered = orders.latest_settings(connection)
        self._earlier: dict[int, FleetSettings] = {}

    def preview(self) -> Preview:
        preview = Preview()
        preview.problems.extend(
            ("", Problem(f"sites/{name}.toml", (), "is for no site of this hub", f"farshore-hub site add {name}"))
            for name in self._new.layers.sites
            if name not in self.sites
        )
        same = sum(self._compare(site, preview) for site in self.sites.values() if site.state is not SiteState.REVOKED)
        return Preview(preview.changes, same, preview.problems)

    def _compare(self, site: Site, preview: Preview) -> bool:
        """Note what would change at a site; whether nothing would."""
        rendered, problems = self._new.rendered(site.name)
        report, order = self._reports.get(site.id), self._ordered.get(site.id)
        if not problems and is_same(rendered, order, report, again=self._again):
            return True
        if not problems and report is not None and report.is_introduced:
            problems = self._new.problems(rendered, report)
        preview.problems.extend((site.name, each) for each in problems)
        introduced = report is not None and report.is_introduced
        preview.changes.append(
            Change(site.name, self._before(site.name, order), toml_of(rendered.document), introduced)
        )
        return False

    def _before(self, site: str, order: OrderRow | None) -> str:
        if order is None or order.revision is None:
            return ""
        if order.revision not in self._earlier:
            files = config.files_of(self._connection, order.revision)
            layers = read_layers(files) if files else _NOTHING
            self._earlier[order.revision] = FleetSettings(self._new.keys, layers, self._new.labels, self._new.secrets)
        return toml_of(self._earlier[order.revision].rendered(site)[0].document)


def is_same(rendered: Rendered, order: OrderRow | None, report: ReportRow | None, *, again: bool = False) -> bool:
    """Whether a site needs no order for these settings: it has them, is on its way to them, or has tried them."""
    if order is None:
        return not rendered.document and not (report and report.running)
    if order.document != rendered.digest or (again and order.outcome in (Ending.REFUSED, Ending.ROLLED_BACK)):
        return False
    lost_it = order.outcome == Ending.KEPT and report is not None and report.running != order.number
    return not lost_it


def _layers(files: Mapping[str, str]) -> Layers:
    try:
        return read_layers(files)
    except LayersInvalid as error:
        raise _invalid([("", problem) for problem in error.problems]) from None


def _invalid(problems: list[tuple[str, Problem]]) -> Invalid:
    lines = [f"  {f'{site}: ' if site else ''}{problem}" for site, problem in problems[:MAX_SHOWN]]
    more = [f"  and {len(problems) - MAX_SHOWN} more"] if len(problems) > MAX_SHOWN else []
    said = "\n".join([f"the configuration has {len(problems)} problem{'s' * (len(problems) != 1)}:", *lines, *more])
    return Invalid(said, remedy="correct these; nothing was changed")


def _check_free(connection: Connection) -> None:
    if live := rollouts.live(connection):
        raise Conflict(
            f"rollout {live.id} of revision {live.revision} is {live.state}",
            remedy=f"wait for its end, or end it: farshore-hub rollout abort {live.id}",
        )


def _begin(
    connection: Connection, strategy: Strategy, sites: Mapping[str, Site], names: list[str], what: RolloutOf
) -> int:
    since_us = what.now_us - strategy.silent_after_s * _US_PER_S
    here = {name for name in names if (sites[name].last_seen_us or 0) > since_us}
    stages = stages_of(strategy, names, here, str(what.revision))
    values = {
        "revision": what.revision,
        "state": (RolloutState.RUNNING if names else RolloutState.DONE).value,
        "strategy": json.dumps(asdict(strategy)),
        "stage": 0 if names else len(strategy.stages) - 1,
        "stage_us": what.now_us,
        "made_us": what.now_us,
        "made_by": what.by[:63],
        "ended_us": None if names else what.now_us,
        "why": "begins" if names else "no site has other settings by it",
    }
    tell(connection, Told.ROLLOUTS)
    return rollouts.add(connection, values, [(sites[name].id, stage) for name, stage in stages.items()])


def preview_view(preview: Preview) -> PreviewView:
    """A preview for people and scripts."""
    return PreviewView(
        changes=[ChangeView.model_validate(each) for each in preview.changes],
        same=preview.same,
        problems=[
            ProblemView(site=site, file=each.file, key=".".join(each.at), what=each.what, remedy=each.remedy)
            for site, each in preview.problems
        ],
    )


def strategy_of(text: str) -> Strategy:
    """A strategy as the store keeps it."""
    values = json.loads(text)
    return Strategy(
        tuple(values["stages"]), values["soak_s"], values["halt"], values["silent_after_s"], values["again"]
    )
