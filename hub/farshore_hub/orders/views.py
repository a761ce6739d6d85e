"""What people and scripts are shown of orders: the same JSON from the API and from the commands."""

from __future__ import annotations

import enum

from pydantic import BaseModel, Field

from farshore_hub.orders.rollout import Part, RolloutState
from farshore_hub.texts.shown import TimeUs, View


class RolloutView(View):
    """A rollout, and how many of its sites stand how."""

    id: int
    revision: int
    state: RolloutState
    stages: list[str] = Field(description="how many sites have it after each: a number or a share")
    stage: int = Field(description="from 1")
    soak_s: int
    halt: dict[str, int] = Field(description="condition to how many sites meet it for the rollout to stop")
    made_us: int
    made_by: str
    ended_us: TimeUs
    why: str = Field(description="what it waits for, or why it has stopped")
    sites: int
    counts: dict[str, int] = Field(description="sites by what became of them")


class MemberView(View):
    """A site in a rollout."""

    site: str
    stage: int = Field(description="from 1")
    part: Part
    problems: list[str]
    is_introduced: bool = Field(description="whether the hub can order it anything")
    ordered_us: TimeUs
    settled_us: TimeUs
    heard_us: TimeUs


class DeedView(View):
    """Something that was done."""

    at_us: int
    said_by: str = Field(description="a person; empty: the hub")
    subject: str
    deed: str
    text: str


class RolloutStoryView(BaseModel):
    """A rollout with its sites, and who did what."""

    rollout: RolloutView
    sites: list[MemberView]
    events: list[DeedView]


class ChangeView(View):
    """What would change at one site: TOML, secrets as their names."""

    site: str
    before: str
    after: str
    is_introduced: bool


class ProblemView(BaseModel):
    """What stands against a configuration."""

    site: str = Field(description="empty: of the files themselves")
    file: str
    key: str
    what: str
    remedy: str


class PreviewView(BaseModel):
    """What files would change."""

    changes: list[ChangeView]
    same: int = Field(description="sites that stay as they are")
    problems: list[ProblemView]


class AppliedView(View):
    """A revision on its way."""

    revision: int
    rollout: int
    sites: int


class RevisionView(View):
    """A state that the configuration was given."""

    id: int
    made_us: int
    made_by: str
    note: str


class SecretView(View):
    """A secret; its value is never shown."""

    name: str
    version: int = Field(description="how often it was set")
    set_us: int
    set_by: str


class Agreement(enum.StrEnum):
    """How a site stands to its desired settings."""

    NONE = "none"
    """None were ever ordered."""
    UNKNOWN = "unknown"
    """It has not introduced itself: its agent takes no orders, or is not heard yet."""
    ORDERED = "ordered"
    PROBING = "probing"
    CURRENT = "current"
    REFUSED = "refused"
    ROLLED_BACK = "rolled-back"
    DRIFTED = "drifted"
    """It kept them and does not have them any more."""


class SteeredView(View):
    """A site as it is steered: desired against reported."""

    site: str
    labels: dict[str, str]
    agent_version: str | None
    agreement: Agreement
    revision: int | None = Field(description="which the settings that it was ordered last are of")
    desired: int | None = Field(description="number of the order with its desired settings")
    running: int | None = Field(description="number of the order whose settings are in force; 0: its own file's alone")
    problems: list[str]
    accepts: list[str] = Field(description="what it lets the hub change")
    reported_us: TimeUs
    heard_us: TimeUs
    commands: int = Field(description="commands that are under way or wait")


class SteeringView(BaseModel):
    """The whole fleet as it is steered."""

    revision: int = Field(description="the newest; 0: there is none")
    rollout: RolloutView | None = Field(description="what is not over")
    versions: dict[str, int] = Field(description="sites by agent version")
    agreements: dict[str, int] = Field(description="sites by how they stand to their desired settings")
    sites: list[SteeredView]


class SiteConfigView(BaseModel):
    """The desired settings of one site, and where they come from."""

    site: SteeredView
    settings: str = Field(description="TOML, secrets as their names")
    origins: dict[str, str] = Field(description="key to file")
    layers: list[str] = Field(description="files, each wins over those before it")


class CommandView(View):
    """A command to one site, and its answer."""

    id: int
    site: str
    command: str
    arguments: dict[str, str]
    state: str = Field(description="waiting for its turn, open, or settled")
    outcome: str | None = Field(description="done, failed, expired or lost")
    text: str
    made_us: int
    made_by: str
    expires_us: TimeUs
    settled_us: TimeUs


class AskedView(View):
    """What a site was asked for again."""

    commands: list[CommandView] = Field(description="to send it once more, a command for each range")
    left: int = Field(description="ranges that are left for another time")
