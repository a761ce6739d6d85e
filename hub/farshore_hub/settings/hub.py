"""`hub.toml` as a whole, checked whole, every fault at once."""

from __future__ import annotations

from pydantic import Field, ValidationError

from farshore_hub.errors import SettingsInvalid
from farshore_hub.fleet.addresses import MAX_ADDRESSES
from farshore_hub.merge.filters import Filter
from farshore_hub.merge.policy import Rules
from farshore_hub.settings.broker import Broker
from farshore_hub.settings.lake import Lake
from farshore_hub.settings.rooms import (
    Address,
    Audit,
    Certificates,
    Completeness,
    Database,
    Listen,
    MergedTable,
    Retention,
    Sites,
    TableName,
    Web,
)
from farshore_hub.settings.watch import WatchTables
from farshore_protocol.toml import read_toml


class HubSettings(WatchTables):
    """The whole of `hub.toml`."""

    listen: Listen = Field(default="0.0.0.0:8443", description="HOST:PORT to listen on")
    addresses: list[Address] = Field(
        min_length=1, max_length=MAX_ADDRESSES, description="https://HOST:PORT under which sites reach the hub"
    )
    database: Database = Database()
    lake: Lake = Lake()
    retention: Retention = Retention()
    sites: Sites = Sites()
    completeness: Completeness = Completeness()
    audit: Audit = Audit()
    tables: dict[TableName, MergedTable] = Field(default={}, description="tables of the sites that are merged, by name")
    certificates: Certificates = Certificates()
    web: Web = Web()
    broker: Broker = Broker()

    def merge_rules(self) -> dict[str, Rules]:
        """How the declared tables are merged, by name."""
        return {name: each.rules() for name, each in self.tables.items()}

    def shared_tables(self) -> dict[str, Filter]:
        """Tables that sites may follow, and which rows of them."""
        return {name: each.row_filter() for name, each in self.tables.items() if each.down}


def parse(text: str, where: str) -> HubSettings:
    """Check the text of a `hub.toml`.

    Raises:
        SettingsInvalid: with one line per fault, each with the key's path.
    """
    try:
        return HubSettings.model_validate(_toml(text, where))
    except ValidationError as error:
        faults = [f"  {_path(fault['loc'])}: {_said(fault['msg'])}" for fault in error.errors()]
        raise SettingsInvalid(
            "\n".join([f"{where} has {len(faults)} fault{'s' * (len(faults) != 1)}:", *faults]),
            remedy="correct these keys; nothing was started or changed",
        ) from None


def _toml(text: str, where: str) -> dict[str, object]:
    try:
        return read_toml(text)
    except ValueError as error:
        raise SettingsInvalid(f"{where} is not TOML: {error}") from None


def _path(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location)


def _said(message: str) -> str:
    return message.removeprefix("Value error, ").replace("Extra inputs are not permitted", "there is no such key")
