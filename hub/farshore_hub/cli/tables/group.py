"""The group that the commands of this folder belong to, and what they share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import click

from farshore_hub.merged.desk import TableDesk
from farshore_hub.opening import open_hub

command: Final = click.Group("tables", help="Show and change the merged tables, settle their conflicts.")
limit_option: Final = click.option(
    "--limit", type=click.IntRange(1, 100_000), default=100, show_default=True, help="At most."
)


@contextmanager
def desk(data_dir: Path) -> Iterator[TableDesk]:
    """The desk of that hub."""
    with open_hub(data_dir) as hub:
        yield TableDesk(hub.engine, hub.fleet.clock, hub.place.settings.merge_rules())
