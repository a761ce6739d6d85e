"""What an operator can set: `hub.toml` in the data directory, checked whole, every fault at once.

Paths in it are relative to the data directory. An unknown key is a fault: a misspelt setting must not be a default.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, ValidationError

from farshore_hub.durations import BytesPerSecond, Seconds
from farshore_hub.errors import NotReady, SettingsInvalid
from farshore_hub.fleet.addresses import MAX_ADDRESSES, check_address, split_listen
from farshore_hub.merge.policy import Deletes, Policy, Rules
from farshore_hub.settings_watch import WatchTables
from farshore_hub.strict import StrictTable
from farshore_protocol.limits import KIB, MIB
from farshore_protocol.names import check_stream

FILE: Final = "hub.toml"
MAX_BYTES: Final = 1024 * KIB
DATA_DIR_VARIABLE: Final = "FARSHORE_HUB_DIR"
_HERE: Final = Path("farshore-hub")
_SYSTEM: Final = Path("/var/lib/farshore-hub")


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
TableName = Annotated[str, AfterValidator(check_stream)]
Address = Annotated[str, AfterValidator(check_address)]
Listen = Annotated[str, AfterValidator(_check_listen)]


class Database(StrictTable):
    """Where the ledger and the inbox are kept."""

    url: DatabaseUrl = Field(
        default="", description="URL of a PostgreSQL database; empty: hub.db in the data directory"
    )


class Lake(StrictTable):
    """Where the Delta tables are kept."""

    path: Path = Field(default=Path("lake"), description="folder of the Delta tables")
    within: Seconds = Field(
        default=60,
        ge=1,
        description="a stored record is in its table after this; of busy streams after seconds. Queries see it at once",
    )


class Retention(StrictTable):
    """What may be given up, and when."""

    payloads: Seconds = Field(
        default=30 * 86_400, description="how long a sealed batch is kept after its records are in the lake"
    )
    archive: Literal["never", "stored"] = Field(
        default="never",
        description="when sites are told that they may forget what they delivered: never (they keep it as long as it "
        "fits, and this hub may be restored from any backup), or as soon as it is stored",
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

    def rules(self) -> Rules:
        """For the merger."""
        return Rules(self.policy, self.columns, self.deletes)


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


class Place:
    """The data directory and what lies in it."""

    def __init__(self, data_dir: Path, settings: HubSettings) -> None:
        self.data_dir = data_dir
        self.settings = settings
        self.keys = keys_folder(data_dir)
        self.lake = data_dir / settings.lake.path
        self.database_url = database_url(data_dir, settings)


def default_data_dir() -> Path:
    """`./farshore-hub`, unless only the system's place has a hub."""
    return _SYSTEM if (_SYSTEM / FILE).exists() and not _HERE.exists() else _HERE


def keys_folder(data_dir: Path) -> Path:
    """Where the hub's keys lie."""
    return data_dir / "keys"


def ca_path(data_dir: Path) -> Path:
    """The CA certificate for clients; public, a copy of the one among the keys."""
    return data_dir / "ca.pem"


def database_url(data_dir: Path, settings: HubSettings) -> str:
    """The SQLAlchemy URL of the hub's database."""
    return settings.database.url or f"sqlite:///{data_dir.absolute() / 'hub.db'}"


def load(data_dir: Path) -> Place:
    """Read and check the settings of an initialised data directory.

    Raises:
        NotReady: there is no `hub.toml`.
        SettingsInvalid: it has faults; the text names all of them.
    """
    path = data_dir / FILE
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1).decode()
    except OSError as error:
        raise NotReady(
            f"there is no hub in {data_dir}: {error.strerror} ({FILE})",
            remedy=f"run 'farshore-hub init --data-dir {data_dir}', or name the right one with --data-dir",
        ) from None
    except UnicodeDecodeError:
        raise SettingsInvalid(f"{path} is not UTF-8 text") from None
    if len(text) > MAX_BYTES:
        raise SettingsInvalid(f"{path} has more than {MAX_BYTES} bytes: is this the right file?")
    return Place(data_dir, parse(text, str(path)))


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
        return tomllib.loads(text)
    except RecursionError:
        raise SettingsInvalid(f"{where} is not TOML that can be read: it is nested too deep") from None
    except ValueError as error:  # TOMLDecodeError, and what Python says of a number of too many digits
        raise SettingsInvalid(f"{where} is not TOML: {error}") from None


def _path(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location)


def _said(message: str) -> str:
    return message.removeprefix("Value error, ").replace("Extra inputs are not permitted", "there is no such key")
