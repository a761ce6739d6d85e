"""What the lake needs of other rooms."""

from __future__ import annotations

from typing import Protocol

from farshore_protocol.columns import Columns


class Opener(Protocol):
    """Opens sealed batches; may be used from several threads at once."""

    def columns(self, site: str, raw: bytes) -> Columns:
        """The records of a site's batch.

        Raises:
            ProtocolError: it does not open, or what is in it cannot be read.
        """
        ...
