"""Labels: what an operator says of sites, as in `region=north`; groups of the fleet are chosen by it."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Final

from farshore_hub.errors import Invalid
from farshore_hub.fleet import sites
from farshore_hub.fleet.context import Fleet
from farshore_hub.store import deeds
from farshore_hub.store import labels as store
from farshore_hub.store.deeds import DeedRow
from farshore_hub.store.engine import reading, writing

MAX_LABELS: Final = 64
"""Of one site."""

KEY_PATTERN: Final = r"[a-z][a-z0-9_-]{0,62}"
VALUE_PATTERN: Final = r"[^\u0000-\u001f\u007f]{1,255}"
_KEY: Final = re.compile(KEY_PATTERN)
_VALUE: Final = re.compile(VALUE_PATTERN)


def of_site(fleet: Fleet, name: str) -> dict[str, str]:
    """The labels of one site.

    Raises:
        Invalid, Unknown: there is no such site.
    """
    site = sites.find(fleet, name)
    with reading(fleet.engine) as connection:
        return store.labels_of(connection, site.id)


def change(fleet: Fleet, name: str, labels: Mapping[str, str], gone: Collection[str], by: str) -> dict[str, str]:
    """Set labels of a site, take others away, and return all that it has then.

    Raises:
        Invalid: a key or a value is not allowed, or there would be too many.
        Unknown: there is no such site.
    """
    for key in [*labels, *gone]:
        if not _KEY.fullmatch(key):
            raise Invalid(f"{key[:80]!r} is no label: use a small letter, then small letters, digits, - and _")
    for key, value in labels.items():
        if not _VALUE.fullmatch(value):
            raise Invalid(f"label {key} has 1 to 255 characters, none of them a control character")
    site = sites.find(fleet, name)
    said = " ".join(
        [*(f"{key}={value}" for key, value in sorted(labels.items())), *(f"{key}-" for key in sorted(gone))]
    )
    with writing(fleet.engine) as connection:
        store.set_labels(connection, site.id, labels, gone)
        has = store.labels_of(connection, site.id)
        if len(has) > MAX_LABELS:
            raise Invalid(f"a site has at most {MAX_LABELS} labels")
        deeds.note(connection, DeedRow(fleet.clock.now_us(), by, f"site {name}", "labelled", said))
    return has
