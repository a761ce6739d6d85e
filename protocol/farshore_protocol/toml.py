"""TOML that somebody else wrote, read within bounds: settings of sites and of the hub, layers, orders.

The standard library's reader takes time squared for a key of many dotted parts, makes tables of it that are nested
deeper than a recursion can follow, and takes integers of any size, which cannot be written in decimals again.
"""

from __future__ import annotations

import re
import tomllib
from typing import Any, Final

from farshore_protocol.limits import MAX_SETTINGS_DEPTH

_QUOTED: Final = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'|#[^\n]*', re.DOTALL
)
"""Texts, quoted keys and comments."""

_LONG_KEY: Final = re.compile(rf"(?<![\w.-])(?:[\w-]+[ \t]*\.[ \t]*){{{MAX_SETTINGS_DEPTH}}}")


def read_toml(text: str) -> dict[str, Any]:
    """The tables of a text, nested at most `MAX_SETTINGS_DEPTH` deep, whose integers have 64 bits, as TOML says.

    Raises:
        ValueError: it is no such TOML; says why.
    """
    if _LONG_KEY.search(_QUOTED.sub("q", text)):
        raise ValueError(f"a key has more than {MAX_SETTINGS_DEPTH} parts")
    try:
        tables = tomllib.loads(text)
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    _check(tables)
    return tables


_TOO_DEEP: Final = f"it is nested deeper than {MAX_SETTINGS_DEPTH}"
_INTEGERS: Final = range(-(2**63), 2**63)


def _check(tables: dict[str, Any]) -> None:
    level: list[Any] = [tables]
    for _ in range(MAX_SETTINGS_DEPTH):
        level = [inner for each in level for inner in (each.values() if isinstance(each, dict) else each)]
        if any(isinstance(each, int) and each not in _INTEGERS for each in level):
            raise ValueError("an integer has more than 64 bits")
        level = [each for each in level if isinstance(each, dict | list)]
        if not level:
            return
    raise ValueError(_TOO_DEEP)
