"""Every gap is found exactly, and none falsely, whatever happened on the way. `make ledger-seeds` plays many more."""

from __future__ import annotations

from pathlib import Path

import pytest

from farshore_hub.ledger.account import Account
from tests.ledger.play import Play


@pytest.mark.parametrize("seed", range(1, 4))
def test_every_gap_is_found_and_none_falsely(seed: int, tmp_path: Path) -> None:
    play = Play(seed, 4, tmp_path)
    assert play.run() == []
    before, after = play.claims
    assert after < before


def test_a_ledger_that_takes_what_is_held_for_stored_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = Account.with_stored
    monkeypatch.setattr(Account, "with_stored", lambda self, take: honest(self, take | self.held))
    assert Play(1, 2, tmp_path).run()
