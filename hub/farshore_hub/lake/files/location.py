"""Where the lake lies, and with whose rights: what hub and workers tell one another. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

SCHEME: Final = "s3://"


@dataclass(frozen=True, slots=True)
class Location:
    """Where the lake lies.

    Attributes:
        url: an absolute path, or s3://BUCKET/PREFIX without a slash at the end.
        options: of the object store, under the names that delta-rs has for them. Secrets may be among them, therefore
            they are in no `repr`. Without a key in them, delta-rs and Arrow look where AWS's own tools look.
    """

    url: str
    options: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __str__(self) -> str:
        return self.url

    @property
    def is_remote(self) -> bool:
        """Whether it is in an object store."""
        return self.url.startswith(SCHEME)

    @property
    def folder(self) -> Path | None:
        """The folder; None in an object store."""
        return None if self.is_remote else Path(self.url)

    def of(self, stream: str) -> str:
        """Where a stream's table is."""
        return f"{self.url}/{stream}"


def in_folder(path: Path) -> Location:
    """That folder, as a location."""
    return Location(str(path.absolute()))
