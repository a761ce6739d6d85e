"""The data directory: where its settings, keys and database lie."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from farshore_hub.errors import NotReady, SettingsInvalid
from farshore_hub.settings.hub import HubSettings, parse
from farshore_protocol.limits import KIB

FILE: Final = "hub.toml"
MAX_BYTES: Final = 1024 * KIB
DATA_DIR_VARIABLE: Final = "FARSHORE_HUB_DIR"
_HERE: Final = Path("farshore-hub")
_SYSTEM: Final = Path("/var/lib/farshore-hub")


class Place:
    """The data directory and what lies in it."""

    def __init__(self, data_dir: Path, settings: HubSettings) -> None:
        self.data_dir = data_dir
        self.settings = settings
        self.keys = keys_folder(data_dir)
        self.spill = data_dir / "spill"
        self.database_url = database_url(data_dir, settings)


def default_data_dir() -> Path:
    """`./farshore-hub`, unless only the system's place is there: a package makes it."""
    return _SYSTEM if _SYSTEM.exists() and not _HERE.exists() else _HERE


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
