"""The backup of the keys: opens with its passphrase alone, and brings back what is missing without harm."""

from __future__ import annotations

import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farshore_hub.errors import Conflict, HubError, Invalid
from farshore_hub.fleet.key_files import Kind
from farshore_hub.fleet.keys import HubKeys
from farshore_hub.keys import archive
from farshore_hub.keys.archive import Contents
from farshore_hub.keys.desk import KeyDesk, files_of
from farshore_hub.keys.restoring import restore
from farshore_hub.opening import OpenedHub
from farshore_protocol import wire
from farshore_shell.system import SystemRandom
from tests.hub.fleet.site import TurnableClock

WORDS = "correct horse battery staple"
CHEAP = 4


def sealed(files: dict[str, bytes], cost_log2: int = CHEAP) -> bytes:
    return archive.seal(Contents(5, files), b"hub-name", WORDS, SystemRandom(), cost_log2)


RAW = sealed({"hub.id": b"secret" * 9})


def test_it_opens_with_its_passphrase_and_with_no_other() -> None:
    assert archive.unseal(RAW, WORDS).files == {"hub.id": b"secret" * 9}
    assert archive.hub_of(RAW) == b"hub-name"
    assert b"secret" not in RAW
    with pytest.raises(Invalid, match="passphrase is another one"):
        archive.unseal(RAW, WORDS + ".")


def test_a_passphrase_that_is_guessed_at_once_is_refused() -> None:
    with pytest.raises(Invalid, match="12 characters"):
        archive.seal(Contents(5, {}), b"hub-name", "short", SystemRandom())


def test_what_is_shipped_costs_whoever_guesses_128_mib() -> None:
    raw = archive.seal(Contents(5, {}), b"hub-name", WORDS, SystemRandom())
    assert archive._archive(raw).cost_log2 == 17
    assert archive.unseal(raw, WORDS).files == {}


def test_a_cost_beyond_the_bound_is_refused_before_it_is_paid() -> None:
    dear = (
        archive._MAGIC
        + bytes((archive.VERSION,))
        + wire.pack(archive.Archive(b"hub-name", 40, bytes(32), bytes(12), b""))
    )
    with pytest.raises(Invalid):
        archive.unseal(dear, WORDS)


@given(st.integers(0, len(RAW) - 1), st.integers(1, 255))
def test_not_one_bit_of_it_can_be_changed(at: int, flip: int) -> None:
    changed = bytearray(RAW)
    changed[at] ^= flip
    for raw in (bytes(changed), RAW[:at]):
        try:
            # A cost that was raised within the bound would be paid for every try of this test.
            if archive._archive(raw).cost_log2 > CHEAP:
                continue
        except HubError:
            continue
        with pytest.raises(Invalid):
            archive.unseal(raw, WORDS)


def test_a_lost_hub_has_its_keys_again_and_those_that_were_retired(
    hub: OpenedHub, clock: TurnableClock, tmp_path: Path
) -> None:
    kept = []
    KeyDesk(hub, "alice").rotate(set(Kind), lambda files: kept.append(Contents(clock.now_us(), files)))
    [contents] = kept
    restored = restore(tmp_path / "new" / "keys", contents)
    assert restored.keys.keyring == hub.keys.keyring
    assert {path.name for path in restored.keys.folder.iterdir()} == contents.files.keys()
    assert {stat.S_IMODE(path.stat().st_mode) for path in restored.keys.folder.iterdir()} == {0o600}

    opened = hub.keys.sealing_keys
    KeyDesk(hub, "alice").retire(set(Kind))
    assert len(hub.keys.sealing_keys) == 1
    again = restore(hub.keys.folder, contents)
    assert again.newer
    assert set(again.keys.sealing_keys) == set(opened)
    assert again.keys.keyring == hub.keys.keyring


def _another_hub(folder: Path) -> None:
    (folder / "hub.id").write_text("00" * 8)


def _damaged(folder: Path) -> None:
    (folder / "signing.pem").write_text("damaged")


@pytest.mark.parametrize("harm", [_another_hub, _damaged])
def test_what_is_there_and_differs_is_never_written_over(hub: OpenedHub, harm: Callable[[Path], None]) -> None:
    contents = Contents(5, files_of(hub.keys))
    harm(hub.keys.folder)
    (hub.keys.folder / "sealing.seed").unlink()
    before = {path: path.read_bytes() for path in hub.keys.folder.iterdir()}
    with pytest.raises(Conflict):
        restore(hub.keys.folder, contents)
    assert {path: path.read_bytes() for path in hub.keys.folder.iterdir()} == before


def test_a_hub_that_has_lost_all_its_keys_gets_them_back(hub: OpenedHub) -> None:
    contents = Contents(5, files_of(hub.keys))
    was = hub.keys.private
    shutil.rmtree(hub.keys.folder)
    restore(hub.keys.folder, contents)
    assert HubKeys.load(hub.keys.folder).private.sealing == was.sealing
