"""What people and scripts are shown of alerts: the same JSON from the API and from the commands."""

from __future__ import annotations

from pydantic import BaseModel, Field

from farshore_hub.alerts.kinds import FACTS, Kind, Severity, Unit
from farshore_hub.expect.calendar import HOUR_US
from farshore_hub.expect.expectation import ExpectedHour
from farshore_hub.expect.objective import Basis
from farshore_hub.store.alerts import AlertRow, EventRow
from farshore_hub.texts.shown import TimeUs, View
from farshore_hub.watch.promises import ObjectiveStanding
from farshore_hub.watch.telling import runbook_of


class AlertView(View):
    """An alert that was raised; it stands until `cleared_us`."""

    id: int
    kind: Kind
    severity: Severity
    site: str = Field(description="empty: of the hub itself")
    stream: str = Field(description="empty: of the whole site")
    facet: str = Field(description="which of several: a reason, an objective, a folder")
    state: str = Field(description="raised, acknowledged or cleared")
    value: float = Field(description="as it was when it was raised")
    unit: Unit
    text: str
    raised_us: TimeUs
    told_us: int | None = Field(description="when the channels were told; null while it is kept quiet")
    acknowledged_us: TimeUs
    acknowledged_by: str | None
    cleared_us: TimeUs
    runbook: str = Field(description="where it says what to do")


class AlertEventView(View):
    """What became of an alert."""

    at_us: int
    change: str
    said_by: str = Field(description="a person; empty: the hub")
    text: str


class AlertStoryView(BaseModel):
    """An alert with its history."""

    alert: AlertView
    events: list[AlertEventView]


class SilenceView(View):
    """Alerts that stand and are not told."""

    id: int
    kind: str = Field(description="empty: every kind")
    sites: str
    streams: str
    from_us: int
    until_us: int
    reason: str
    made_by: str


class MaintenanceView(View):
    """Sites that are worked on."""

    id: int
    sites: str
    from_us: int
    until_us: int
    reason: str
    made_by: str


def alert_view(row: AlertRow, runbooks: str) -> AlertView:
    """A row for people and scripts."""
    own = {name: getattr(row, name) for name in AlertView.model_fields if hasattr(row, name)}
    return AlertView(**own, state=_state(row), unit=FACTS[row.kind].unit, runbook=runbook_of(row, runbooks))


def story_view(row: AlertRow, events: list[EventRow], runbooks: str) -> AlertStoryView:
    """A row and what became of it."""
    return AlertStoryView(
        alert=alert_view(row, runbooks), events=[AlertEventView.model_validate(each) for each in events]
    )


def _state(row: AlertRow) -> str:
    if row.cleared_us is not None:
        return "cleared"
    return "raised" if row.acknowledged_us is None else "acknowledged"


class ExpectedHourView(BaseModel):
    """One stream of a site in one hour: what was promised, what the agent got, and what never reached it."""

    site: str
    stream: str
    hour_us: int = Field(description="when the hour begins, microseconds since 1970")
    expected: float
    produced: int
    missing: float | None = Field(description="never reached the agent; null while the site has not told of the hour")


class ObjectiveView(BaseModel):
    """Where an objective stands over its period."""

    name: str
    sites: str
    labels: dict[str, list[str]] = Field(description="the labels by which sites are selected; empty: all of them")
    streams: str
    of: Basis
    target: float
    within_s: int
    period_s: int
    met: float = Field(description="the share that was stored in time")
    burned: float = Field(description="the share of the error budget that is gone; over 1 the objective is missed")
    due: int
    late: int
    excused: int = Field(description="records of declared maintenance, which count for nothing")
    open_hours: int = Field(description="hours of sites that have not said yet what they produced in them")
    risks: dict[str, float] = Field(description="by window; from 1 on it is at risk")
    worst: dict[str, int] = Field(description="late records by site, the worst first")


def expected_hour_view(line: ExpectedHour, *, is_known: bool) -> ExpectedHourView:
    """A line for people and scripts."""
    return ExpectedHourView(
        site=line.site,
        stream=line.stream,
        hour_us=line.hour * HOUR_US,
        expected=line.expected,
        produced=line.produced,
        missing=line.missing if is_known else None,
    )


def objective_view(standing: ObjectiveStanding) -> ObjectiveView:
    """An objective for people and scripts."""
    of, budget = standing.objective, standing.budget
    return ObjectiveView(
        name=of.name,
        sites=of.sites,
        labels={key: list(values) for key, values in of.labels.items()},
        streams=of.streams,
        of=of.of,
        target=of.target,
        within_s=of.within_s,
        period_s=of.period_s,
        met=budget.met,
        burned=budget.burned,
        due=budget.due,
        late=budget.late,
        excused=budget.excused,
        open_hours=standing.open_hours,
        risks=budget.risks,
        worst=standing.worst,
    )
