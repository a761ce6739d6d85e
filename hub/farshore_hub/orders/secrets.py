"""Secrets that settings name: sealed to the hub's own key, opened only to be sealed into a site's order."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import Engine

from farshore_hub.errors import Conflict, Invalid, Unknown
from farshore_hub.receive.keys import ReceivingKeys, key_named
from farshore_hub.store import config, deeds
from farshore_hub.store.config import SecretRow
from farshore_hub.store.deeds import DeedRow
from farshore_hub.store.engine import reading, writing
from farshore_protocol.errors import NotAuthentic
from farshore_protocol.ports import Clock
from farshore_protocol.sealing import seal_to

MAX_CHARS: Final = 8192
NAME_PATTERN: Final = r"[A-Za-z][A-Za-z0-9_]{0,62}"
_NAME: Final = re.compile(NAME_PATTERN)
_CONTEXT: Final = b"farshore/secret/v1\0"


@dataclass(frozen=True, slots=True)
class Secrets:
    """The hub's secrets."""

    engine: Engine
    keys: ReceivingKeys
    clock: Clock

    def set(self, name: str, value: str, by: str) -> int:
        """Set a secret and return how often it was set. It comes to the sites with the next `config apply`.

        Raises:
            Invalid: the name or the value is not allowed.
        """
        if not _NAME.fullmatch(name):
            raise Invalid(f"{name[:80]!r} names no secret: use letters, digits and _, a letter first")
        if not value or len(value) > MAX_CHARS:
            raise Invalid(f"a secret has 1 to {MAX_CHARS} characters")
        now_us, key = self.clock.now_us(), self.keys.sealing
        with writing(self.engine) as connection:
            known = config.secrets(connection).get(name)
            sealed = seal_to(key.public_bytes(), value.encode(), _info(name))
            row = SecretRow(name, known.version + 1 if known else 1, sealed, key.id, now_us, by[:63])
            config.put_secret(connection, row)
            deeds.note(connection, DeedRow(now_us, by, f"secret {name}", "set", f"for the {row.version}. time"))
        return row.version

    def listing(self) -> list[SecretRow]:
        """All of them, sealed as they are, by name."""
        with reading(self.engine) as connection:
            return list(config.secrets(connection).values())

    def delete(self, name: str, by: str) -> None:
        """Forget a secret. What sites have of it stays there.

        Raises:
            Unknown: there is none of that name.
        """
        with writing(self.engine) as connection:
            if not _NAME.fullmatch(name) or not config.delete_secret(connection, name):
                raise Unknown(f"there is no secret {name[:80]!r}", remedy="farshore-hub secret list")
            deeds.note(connection, DeedRow(self.clock.now_us(), by, f"secret {name}", "deleted", ""))


def opened(keys: ReceivingKeys, rows: Mapping[str, SecretRow], names: Iterable[str]) -> dict[str, str]:
    """The values of these secrets.

    Raises:
        Conflict: one does not open with this hub's keys.
    """
    try:
        return {name: _opened(keys, rows[name]).decode() for name in names}
    except NotAuthentic as error:
        raise Conflict(
            f"a secret does not open with this hub's keys: {error}", remedy="set it anew: farshore-hub secret set NAME"
        ) from None


def resealed(keys: ReceivingKeys, row: SecretRow) -> SecretRow:
    """The same secret, sealed to the newest key.

    Raises:
        NotAuthentic: it does not open with this hub's keys.
    """
    sealed = seal_to(keys.sealing.public_bytes(), _opened(keys, row), _info(row.name))
    return replace(row, sealed=sealed, sealed_to=keys.sealing.id)


def _opened(keys: ReceivingKeys, row: SecretRow) -> bytes:
    return key_named(keys, row.sealed_to).open(row.sealed, _info(row.name))


def _info(name: str) -> bytes:
    return _CONTEXT + name.encode() + b"\0"
