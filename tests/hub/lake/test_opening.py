"""From `hub.toml` to where the lake lies: the credentials are found, and told to nobody."""

from __future__ import annotations

from pathlib import Path

import pytest

from farshore_hub import settings
from farshore_hub.errors import NotReady, SettingsInvalid
from farshore_hub.lake.files.opening import lake_of, lock_file_of
from farshore_hub.settings import Place

LEAST = 'addresses = ["https://hub.example.org:8443"]\n[lake]\n'
STORE = 'url = "s3://farshore/lake/"\nendpoint = "http://objects:8333"\ncredentials_file = "objects.ini"\n'
SECRET = "kept-to-itself"


def place(folder: Path, lake: str) -> Place:
    return Place(folder, settings.parse(LEAST + lake, "a test"))


def test_without_an_object_store_it_is_the_folder(tmp_path: Path) -> None:
    found = place(tmp_path, 'path = "tables"')
    assert lake_of(found).folder == tmp_path / "tables"
    assert lock_file_of(found) == tmp_path / "tables" / ".writer.lock"


def test_credentials_come_from_their_file_and_are_not_shown(tmp_path: Path) -> None:
    text = f"[default]\naws_access_key_id = hub\naws_secret_access_key = {SECRET}%\nregion = x\n[other]\na = b\n"
    (tmp_path / "objects.ini").write_text(text)
    found = lake_of(place(tmp_path, STORE))
    assert (str(found), found.folder) == ("s3://farshore/lake", None)
    assert found.options["aws_secret_access_key"] == f"{SECRET}%"
    assert found.options["aws_conditional_put"] == "etag"
    assert "region" not in found.options
    assert SECRET not in repr(found)
    assert lock_file_of(place(tmp_path, STORE)) == tmp_path / ".writer.lock"


@pytest.mark.parametrize(
    "text", ["", "[default]\naws_secret_access_key = " + SECRET, "aws_access_key_id = " + SECRET, "[default\n" + SECRET]
)
def test_a_file_without_credentials_is_told_without_its_content(tmp_path: Path, text: str) -> None:
    (tmp_path / "objects.ini").write_text(text)
    with pytest.raises(SettingsInvalid, match="has no aws_") as raised:
        lake_of(place(tmp_path, STORE))
    assert SECRET not in str(raised.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotReady, match="cannot be read"):
        lake_of(place(tmp_path, STORE))


@pytest.mark.parametrize(
    "lake",
    [
        'url = "gs://bucket/prefix"',
        'url = "s3://bucket/../x y"',
        'url = "s3://bucket"\npath = "elsewhere"',
        'endpoint = "http://objects:8333"',
        'url = "s3://bucket"\nendpoint = "https://key:secret@objects"',
        'url = "s3://bucket"\nendpoint = "objects:8333"',
    ],
)
def test_what_is_no_place_is_refused(tmp_path: Path, lake: str) -> None:
    with pytest.raises(SettingsInvalid, match="lake"):
        place(tmp_path, lake)
