"""The settings' schema is made once for all of these tests: it takes a process a second."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest

from farshore_agent import machine
from farshore_agent.orders.describe import describe


@functools.cache
def kept() -> list[bytes]:
    return []


@pytest.fixture(autouse=True)
def schema_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async def once(_folder: Path) -> bytes:
        if not kept():
            kept().append(await describe())
        return kept()[0]

    monkeypatch.setattr(machine, "describe_apart", once)
