"""From the settings to the lake's location, with the credentials that are not in the settings."""

from __future__ import annotations

import configparser
from pathlib import Path
from typing import Final

from farshore_hub.errors import NotReady, SettingsInvalid
from farshore_hub.lake.files.location import Location, in_folder
from farshore_hub.settings import Place
from farshore_hub.settings.lake import Lake

_SECTION: Final = "default"
_NEEDED: Final = ("aws_access_key_id", "aws_secret_access_key")
_KNOWN: Final = (*_NEEDED, "aws_session_token")
LOCK_FILE: Final = ".writer.lock"


def lake_of(place: Place) -> Location:
    """Where the hub's lake lies.

    Raises:
        NotReady, SettingsInvalid: its credentials cannot be read. The text says nothing of what is in the file.
    """
    lake = place.settings.lake
    if not lake.url:
        return in_folder(place.data_dir / lake.path)
    return Location(lake.url, _options(lake) | _credentials(place, lake))


def lock_file_of(place: Place) -> Path:
    """Whose holder writes the lake, where all processes of the hub are on one machine."""
    folder = place.data_dir if place.settings.lake.url else place.data_dir / place.settings.lake.path
    return folder / LOCK_FILE


def _options(lake: Lake) -> dict[str, str]:
    # `etag`: what is there is not overwritten (If-None-Match), which is what makes a commit safe.
    options = {"aws_region": lake.region, "aws_conditional_put": "etag"}
    if lake.endpoint:
        options |= {"aws_endpoint_url": lake.endpoint, "aws_virtual_hosted_style_request": "false"}
    if lake.endpoint.startswith("http://"):
        options["aws_allow_http"] = "true"
    return options


def _credentials(place: Place, lake: Lake) -> dict[str, str]:
    if lake.credentials_file is None:
        return {}
    path = place.data_dir / lake.credentials_file
    reader = configparser.ConfigParser(interpolation=None)
    try:
        reader.read_string(path.read_text())
        found = {name: value for name, value in reader.items(_SECTION) if name in _KNOWN}
    except OSError as error:
        raise NotReady(f"the credentials of the lake in {path} cannot be read: {error.strerror}") from None
    except (configparser.Error, UnicodeDecodeError):
        found = {}
    if missing := [name for name in _NEEDED if not found.get(name)]:
        raise SettingsInvalid(
            f"{path} has no {' and no '.join(missing)} under [{_SECTION}]", remedy="write it as AWS's tools do"
        ) from None
    return found
