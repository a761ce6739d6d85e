"""Selectors: which sites are meant by their labels, as in `labels = { region = ["north", "south"] }`. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

Labels = Mapping[str, str]
"""What an operator says of one site."""

Selector = Mapping[str, tuple[str, ...]]
"""For each key the values of which a site has to have one; empty: every site."""

NO_LABELS: Final[Labels] = MappingProxyType({})


def selects(selector: Selector, labels: Labels) -> bool:
    """Whether a site with these labels is meant."""
    return all(labels.get(key) in values for key, values in selector.items())
