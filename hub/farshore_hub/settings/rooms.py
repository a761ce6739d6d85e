"""The tables of `hub.toml`, one for each room that can be set.

Paths are relative to the data directory.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

from farshore_hub.fleet.addresses import check_address, split_listen
from farshore_hub.merge.filters import Filter
from farshore_hub.merge.filters import parse as parse_filter
from farshore_hub.merge.forgetting import Keeping
from farshore_hub.merge.policy import Deletes, Policy, Rules
from farshore_hub.settings.strict import StrictTable
from farshore_hub.texts.durations import BytesPerSecond, Seconds
from farshore_protocol.limits import MIB
from farshore_protocol.names import check_stream

_US: Final = 1_000_000


def _check_listen(text: str) -> str:
    split_listen(text)
    return text


def _check_database_url(text: str) -> str:
    if text.startswith("postgresql://"):
        text = "postgresql+psycopg" + text.removeprefix("postgresql")
    if not text or text.startswith(("postgresql+psycopg://", "sqlite:///")):
        return text
    raise ValueError("this is not a database: write it as postgresql://USER:PASSWORD@HOST/NAME")


DatabaseUrl = Annotated[str, AfterValidator(_check_database_url)]


def _check_filter(text: str) -> str:
    parse_filter(text)
    return text


RowFilter = Annotated[str, AfterValidator(_check_filter)]
TableName = Annotated[str, AfterValidator(check_stream)]
Address = Annotated[str, AfterValidator(check_address)]
Listen = Annotated[str, AfterValidator(_check_listen)]


class Database(StrictTable):
    """Where the ledger and the inbox are kept."""

    url: DatabaseUrl = Field(
        default="", description="URL of a PostgreSQL database; empty: hub.db in the data directory"
    )


class Retention(StrictTable):
    """What may be given up, and when."""

    payloads: Seconds = Field(
        default=30 * 86_400, description="how long a sealed batch is kept after its records are in the lake"
    )
    claims: Seconds = Field(
        default=30 * 86_400,
        ge=86_400,
        description="how long everything that sites have said is kept, so that 'completeness --at' is exact for any "
        "moment; before that it is for every midnight, UTC, for ever",
    )
    archive: Literal["never", "backup", "stored"] = Field(
        default="never",
        description="when sites are told that they may forget what they delivered: never (they keep it as long as it "
        "fits, and this hub may be restored from any backup), backup (when it is in the oldest backup that "
        "'farshore-hub backup' keeps), or as soon as it is stored (this hub is never restored)",
    )


class Sites(StrictTable):
    """Bounds of one site."""

    max_kept_bytes: int = Field(
        default=100 * 1024 * MIB,
        ge=16 * MIB,
        description="of one site at one time: sealed batches, which are kept for the time of retention.payloads, and "
        "forks; what it sends beyond that is not taken and stays at the site",
    )


class Completeness(StrictTable):
    """What is said of sites."""

    silent_after: Seconds = Field(
        default=900, ge=1, description="of a site that was not heard for so long nobody can say that it is complete"
    )


class Audit(StrictTable):
    """How what is stored is read again and compared with the ledger, while the hub runs."""

    every: Seconds = Field(default=7 * 86_400, ge=60, description="how often everything is read")
    rate: BytesPerSecond = Field(default=8 * MIB, description="how much of it in a second, on average, as in '8 MiB/s'")


class MergedTable(StrictTable):
    """How the sites' tables of one name are merged."""

    policy: Policy = Field(default=Policy.LAST_WRITE, description="which of two writes to a cell wins")
    columns: dict[str, Policy] = Field(default={}, description="columns with a policy of their own")
    deletes: Deletes = Field(default=Deletes.WIN, description="whether a delete wins against a later change of the row")
    down: bool = Field(default=False, description="whether sites may follow the table: have its rows sent to them")
    filter: RowFilter = Field(
        default="",
        description="which rows a site may have, as in \"region = site.region and kind = 'retail'\": `site.` and a "
        "label of the site, or site.name; empty: all of them",
    )

    keep_deletes: Seconds = Field(
        default=30 * 86_400,
        ge=0,
        description="how long a deleted row is remembered at least",
    )
    await_sites: Seconds = Field(
        default=400 * 86_400,
        ge=86_400,
        description="a site that was silent for longer is not waited for any more before deletes are forgotten",
    )

    def keeping(self) -> Keeping:
        """How long deletes are kept."""
        return Keeping(round(self.keep_deletes * _US), round(self.await_sites * _US))

    def rules(self) -> Rules:
        """For the merger."""
        return Rules(self.policy, self.columns, self.deletes, self.row_filter().columns)

    def row_filter(self) -> Filter:
        """Which rows a site may have."""
        return parse_filter(self.filter)


class Certificates(StrictTable):
    """How long sites may go without asking again."""

    site_life: Seconds = Field(default=30 * 86_400, ge=3600, description="life of a site's certificate")
    renewal_grace: Seconds = Field(
        default=400 * 86_400, description="how long after its certificate's end a site may renew with its signing key"
    )


class Web(StrictTable):
    """Bounds of the port."""

    max_connections: int = Field(default=20_000, ge=1, description="open connections")
    max_connections_per_address: int = Field(
        default=10_000,
        ge=1,
        description="open connections from one address, at most half of all; without TLS, behind a proxy, not bounded",
    )
    max_bodies_bytes: int = Field(default=256 * MIB, ge=16 * MIB, description="request bodies in memory at one time")
    body_timeout: Seconds = Field(default=120, ge=1, description="a request body must have arrived after this")
    query_timeout: Seconds = Field(default=30, ge=1, description="a query must have ended after this")
    max_query_rows: int = Field(default=100_000, ge=1, description="rows in the answer to a query")
