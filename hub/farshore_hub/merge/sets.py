"""Sets: cells that hold a JSON array, of which only the elements count. Pure.

An element is known by its canonical text: no spaces, the names of objects in order, 1 and 1.0 two elements.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final, NoReturn

MAX_ELEMENTS: Final = 1_000
"""Of one array: each is a row at the hub."""


def elements_of(text: Any) -> list[str]:  # noqa: ANN401 - a cell's value
    """The elements of an array, each once, in the order of their texts.

    Raises:
        ValueError: it is no JSON array, or one that cannot be kept.
    """
    if not isinstance(text, str):
        raise ValueError("is no text")  # noqa: TRY004 - what a site sends, not a fault of ours
    try:
        read = json.loads(text, parse_constant=_refused)
        if not isinstance(read, list) or len(read) > MAX_ELEMENTS:
            raise ValueError(f"is no array of at most {MAX_ELEMENTS} elements")
        return sorted({_canonical(each) for each in read})
    except RecursionError:
        raise ValueError("is nested too deep") from None


def array_of(elements: Iterable[str]) -> str:
    """The array with these elements, as the merged table has it."""
    return f"[{','.join(sorted(set(elements)))}]"


def _canonical(element: Any) -> str:  # noqa: ANN401 - any JSON
    text = json.dumps(element, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return json.dumps(element, ensure_ascii=True, allow_nan=False, sort_keys=True, separators=(",", ":"))
    return text


def _refused(constant: str) -> NoReturn:
    raise ValueError(f"has {constant}, which is no JSON")
