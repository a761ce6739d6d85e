"""Parts of a backup: what it says of itself, what is linked, what is refused. `tests/acceptance` has the whole."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.engine import make_url

from farshore_hub.backup.copying import Copier, check
from farshore_hub.backup.database import dump, load_postgresql
from farshore_hub.backup.folder import BackupFolder, manifest_of
from farshore_hub.backup.make import make
from farshore_hub.backup.manifest import FILE, CopiedFile, Manifest, is_name, name_of, read_manifest, too_many
from farshore_hub.backup.marks import read_marks
from farshore_hub.backup.restore import restore, verify
from farshore_hub.errors import Conflict, Invalid
from farshore_hub.fleet import sites
from farshore_hub.initialise import Stores, initialise
from farshore_hub.lake.files.opening import lake_of
from farshore_hub.opening import OpenedHub, open_hub
from farshore_hub.store import migrate
from farshore_hub.store.engine import open_engine, writing
from farshore_hub.store.fleet import find_site, insert_site
from farshore_shell.system import real_world
from tests.postgres import Cluster

HUB = "0123456789abcdef"
MANIFEST = Manifest(1, HUB, 1_795_435_200_000_000, "0.1", "sqlite", "0008", has_keys=False, files=[])
A_FILE = CopiedFile("lake/boiler/part.parquet", 3, "0" * 64)


def silent(_what: object) -> None: ...


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[OpenedHub]:
    world = real_world()
    initialise(tmp_path / "hub", ["https://127.0.0.1:8443"], None, Stores(), world.clock, world.random)
    with open_hub(tmp_path / "hub") as opened:
        yield opened


def test_a_manifest_says_what_was_written() -> None:
    manifest = msgspec.structs.replace(MANIFEST, files=[A_FILE])
    assert read_manifest(manifest.write(), "here") == manifest
    assert manifest.size == 3


@pytest.mark.parametrize(
    "path", ["../hub.db", "/etc/passwd", "lake/../../x", "a//b", "./a", "", ".", FILE, "a/", "a\0"]
)
def test_a_manifest_that_leads_out_of_its_folder_is_refused(path: str) -> None:
    manifest = msgspec.structs.replace(MANIFEST, files=[msgspec.structs.replace(A_FILE, path=path)])
    with pytest.raises(Invalid, match="outside"):
        read_manifest(manifest.write(), "here")


def test_a_manifest_that_names_a_file_twice_is_refused() -> None:
    manifest = msgspec.structs.replace(MANIFEST, files=[A_FILE, A_FILE])
    with pytest.raises(Invalid, match="twice"):
        read_manifest(manifest.write(), "here")


def test_marks_that_are_none_are_refused() -> None:
    with pytest.raises(Invalid, match="marks"):
        read_marks(b"\x91\x94\xa1\xff\xc4\x08incarnat\xa1a\x01")


@given(st.binary(max_size=300))
def test_whatever_is_no_manifest_is_refused(raw: bytes) -> None:
    with pytest.raises(Invalid):
        read_manifest(raw, "here")


@given(st.lists(st.integers(0, 2**52), unique=True), st.integers(1, 10))
def test_the_newest_are_kept(times: list[int], keep: int) -> None:
    names = [name_of(HUB, time_us) for time_us in times]
    assert all(is_name(name, HUB) for name in names)
    assert not any(is_name(name, "f" * 16) for name in names)
    gone = too_many(names, keep)
    assert {name_of(HUB, time_us) for time_us in sorted(times)[-keep:]} == set(names) - set(gone)


def test_what_did_not_change_is_linked_and_what_did_is_copied(tmp_path: Path) -> None:
    source, first, second = (tmp_path / name for name in ("source", "first", "second"))
    source.mkdir()
    for name in ("same", "grown"):
        (source / name).write_bytes(name.encode())
    before = Copier(first, None, ())
    for name in ("same", "grown"):
        before.add(source / name, f"lake/{name}")
    (source / "grown").write_bytes(b"grown larger")
    after = Copier(second, first, before.files)
    for name in ("same", "grown"):
        after.add(source / name, f"lake/{name}")
    assert (second / "lake/same").samefile(first / "lake/same")
    assert not (second / "lake/same").samefile(source / "same"), "what the hub writes to is never part of a backup"
    assert (first / "lake/grown").read_bytes() == b"grown"
    assert (second / "lake/grown").read_bytes() == b"grown larger"
    assert after.copied_bytes == len(b"grown larger")
    for folder, copier in ((first, before), (second, after)):
        check(folder, copier.files, silent)


def test_a_damaged_backup_is_not_restored_and_the_file_is_named(hub: OpenedHub, tmp_path: Path) -> None:
    made = make(hub, tmp_path / "backups", keep=1, with_keys=True, tell=silent)
    database = made.path / "hub.db"
    content = bytearray(database.read_bytes())
    content[len(content) // 2] ^= 1
    database.write_bytes(content)
    (made.path / "ca.pem").unlink()
    with pytest.raises(Invalid, match=r"2 file.*(hub\.db.*ca\.pem|ca\.pem.*hub\.db)"):
        verify(made.path, silent)
    with pytest.raises(Invalid):
        restore(made.path, tmp_path / "new", None, silent)
    assert not (tmp_path / "new").exists()


def test_keys_of_another_hub_and_a_folder_that_is_in_use_are_refused(hub: OpenedHub, tmp_path: Path) -> None:
    world = real_world()
    initialise(tmp_path / "other", ["https://127.0.0.1:8443"], None, Stores(), world.clock, world.random)
    made = make(hub, tmp_path / "backups", keep=1, with_keys=False, tell=silent)
    with pytest.raises(Invalid, match="keys are not in this backup"):
        restore(made.path, tmp_path / "new", None, silent)
    with pytest.raises(Invalid, match="those of the hub"):
        restore(made.path, tmp_path / "new", tmp_path / "other" / "keys", silent)
    with pytest.raises(Conflict, match="not empty"):
        restore(made.path, hub.place.data_dir, hub.place.keys, silent)


def test_a_restored_hub_has_everything_that_it_had(hub: OpenedHub, tmp_path: Path) -> None:
    sites.add(hub.fleet, "ship-1", 3600)
    made = make(hub, tmp_path / "backups", keep=1, with_keys=True, tell=silent)
    sites.add(hub.fleet, "ship-2", 3600)
    restore(made.path, tmp_path / "new", None, silent)
    with open_hub(tmp_path / "new") as restored:
        assert [each.name for each in sites.listing(restored.fleet)] == ["ship-1"]
        assert restored.keys.hub == hub.keys.hub
    modes = {path.stat().st_mode & 0o077 for path in (tmp_path / "new").rglob("*")}
    assert modes == {0}, "everything is its user's only"


def test_what_a_crash_left_is_no_backup_and_is_removed_by_the_next(hub: OpenedHub, tmp_path: Path) -> None:
    folder = BackupFolder(tmp_path / "backups", hub.keys.hub.hex())
    half = folder.path / f".draft-{folder.hub}"
    half.mkdir(parents=True)
    (half / "hub.db").write_bytes(b"half")
    without_manifest = folder.path / name_of(folder.hub, 1)
    without_manifest.mkdir()
    assert folder.backups() == []
    made = make(hub, folder.path, keep=1, with_keys=False, tell=silent)
    assert folder.backups() == [made.path]
    assert not half.exists()
    with pytest.raises(Invalid, match="not a whole backup"):
        manifest_of(without_manifest)


def test_postgresql_goes_into_a_dump_and_comes_out_of_it(postgres_cluster: Cluster, tmp_path: Path) -> None:
    with postgres_cluster.database() as url, postgres_cluster.database() as empty:
        engine = open_engine(url)
        migrate.upgrade(engine)
        with writing(engine) as connection:
            insert_site(connection, "ship-1", 1)
        name, _ = dump(engine, tmp_path)
        load_postgresql(tmp_path / name, make_url(empty))
        with pytest.raises(Conflict, match="already"):
            load_postgresql(tmp_path / name, make_url(empty))
        engine.dispose()
        engine = open_engine(empty)
        with writing(engine) as connection:
            assert find_site(connection, "ship-1") is not None
        engine.dispose()


def test_a_lake_in_an_object_store_stays_there_and_the_backup_says_where(tmp_path: Path) -> None:
    world, stores = real_world(), Stores(lake="s3://farshore/lake", lake_endpoint="http://127.0.0.1:9")
    initialise(tmp_path / "hub", ["https://127.0.0.1:8443"], None, stores, world.clock, world.random)
    with open_hub(tmp_path / "hub") as opened:
        made = make(opened, tmp_path / "backups", keep=1, with_keys=True, tell=silent)
    assert made.manifest.lake == "s3://farshore/lake"
    restored = restore(made.path, tmp_path / "again", None, silent)
    assert restored.lake == "s3://farshore/lake"
    with open_hub(tmp_path / "again") as opened:
        assert lake_of(opened.place).url == "s3://farshore/lake"
    assert not (tmp_path / "again" / "lake").exists()
