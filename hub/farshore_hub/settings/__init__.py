"""What an operator can set: `hub.toml` in the data directory. A misspelt key is a fault, never a default."""

from farshore_hub.settings.hub import HubSettings, parse
from farshore_hub.settings.place import (
    DATA_DIR_VARIABLE,
    FILE,
    Place,
    ca_path,
    database_url,
    default_data_dir,
    keys_folder,
    load,
)

__all__ = [
    "DATA_DIR_VARIABLE",
    "FILE",
    "HubSettings",
    "Place",
    "ca_path",
    "database_url",
    "default_data_dir",
    "keys_folder",
    "load",
    "parse",
]
