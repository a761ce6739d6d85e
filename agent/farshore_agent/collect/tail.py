"""Follows a growing file through rotation, whether the old file is renamed or copied and cut short.

The file that was being read is found again by its content, so a rotation that took place while the agent was down is
followed too: first the rest of the old file, then those that came after it, then the new one. What was written between
the last look and a cut (copytruncate) and is in no copy is lost; rotation by renaming has no such gap.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from farshore_agent.collect.feed import UNREADABLE_GZIP, Feed, open_source
from farshore_agent.collect.formats import FileFormat, UnusableFile
from farshore_agent.collect.input import InputContext
from farshore_agent.collect.mark import Mark, unpack
from farshore_agent.settings.inputs import InputSettings
from farshore_agent.settings.kinds import LocalPath, Text, Whole, Word
from farshore_agent.settings.table import setting
from farshore_agent.settings.units import MINUTE_S, duration
from farshore_protocol.names import check_stream

_ROTATED: Final = r"[._-](?:[0-9][0-9T_.:-]*|old)(?:\.gz)?"
"""What rotation adds to a name: a number or a date."""

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class TailSettings(InputSettings):
    """`[inputs.NAME]` with `type = "tail"`.

    Attributes:
        path: the file that grows; rotated ones stand beside it, named like `app.log.1`, `app.log-20261123.gz`.
        format: of `text` each line becomes the field `message`, and its event time is its arrival.
        rest_polls: a rotated file that did not grow for so many polls is complete.
    """

    type: str = setting(Word.of("tail"))
    path: Path = setting(LocalPath())
    stream: str = setting(Text(check=check_stream))
    format: str = setting(Word.of("text", "ndjson", "csv"), default="text")
    delimiter: str = setting(Text(1, 1), default=",")
    poll_s: float = setting(duration(0.01, 60 * MINUTE_S), key="poll", default=1)
    rest_polls: int = setting(Whole(1, 1000), default=3)

    def claims(self) -> tuple[str, ...]:
        """The file."""
        return (f"the file {self.path}",)

    def streams(self) -> tuple[str, ...]:
        """The stream."""
        return (self.stream,)


class TailInput:
    """Looks at the file again and again."""

    Settings: ClassVar[type[TailSettings]] = TailSettings

    def __init__(self, name: str, settings: TailSettings, context: InputContext) -> None:
        self.name = name
        self._settings = settings
        self._context = context
        self._feed = Feed(context, settings.stream, f"{name}/tail", FileFormat(settings.format), settings.delimiter)
        self._mark: Mark | None = None
        self._polls_at_rest = 0
        self._complaint = ""

    async def run(self) -> None:
        """Poll until cancelled."""
        self._context.opened(" and ".join(self._settings.claims()))
        while True:
            await self.poll()
            await self._context.clock.sleep(self._settings.poll_s)

    async def poll(self) -> None:
        """Read on, wherever the file is now."""
        if self._mark is None:
            self._mark = unpack(await self._context.load_checkpoint(self._feed.key))
        try:
            await self._read_on(self._mark)
            self._complaint = ""
        except (OSError, UnusableFile) as error:
            self._complain(f"{error}")
            self._mark = None  # a part may be stored: the checkpoint knows

    async def _read_on(self, mark: Mark) -> None:
        files = self._generations()
        if not files:
            raise FileNotFoundError(f"waiting for {self._settings.path}")
        at = _find(mark, files)
        if at is None:
            _LOG.warning("inputs.%s: the rest of the former file is gone", self.name)
            mark, at = Mark(), len(files) - 1
        if files[at] == self._settings.path:
            self._mark = await self._feed.read_on(files[at], mark, final=False)
            return
        self._mark = await self._feed.read_on(files[at], mark, final=self._polls_at_rest >= self._settings.rest_polls)
        self._polls_at_rest = self._polls_at_rest + 1 if self._mark.offset == mark.offset else 0
        if self._polls_at_rest > self._settings.rest_polls:
            await self._go_to(files[at + 1 :])

    async def _go_to(self, files: list[Path]) -> None:
        """Read the files that came after the one that is complete; the last of them still grows."""
        for file in files:
            self._mark = await self._feed.read_on(file, Mark(), final=file != self._settings.path)
            self._polls_at_rest = 0

    def _generations(self) -> list[Path]:
        """The rotated files, the oldest first, and the one that grows, as far as they exist."""
        path = self._settings.path
        names = re.compile(re.escape(path.name) + _ROTATED)
        rotated = [other for other in path.parent.iterdir() if names.fullmatch(other.name) and other.is_file()]
        # A file that is just being compressed stands there twice.
        rotated = [other for other in rotated if other.suffix != ".gz" or other.with_suffix("") not in rotated]
        rotated.sort(key=lambda other: other.stat().st_mtime_ns)
        return [*rotated, *([path] if path.is_file() else [])]

    def _complain(self, complaint: str) -> None:
        if complaint != self._complaint:
            _LOG.warning("inputs.%s: %s", self.name, complaint)
        self._complaint = complaint


def _find(mark: Mark, files: list[Path]) -> int | None:
    """Which of the files was being read. With nothing read yet, the newest."""
    if not mark.offset:
        return len(files) - 1
    order = sorted(range(len(files)), key=lambda at: files[at].stat().st_ino != mark.inode)
    return next((at for at in order if _fits(mark, files[at])), None)


def _fits(mark: Mark, path: Path) -> bool:
    try:
        with open_source(path) as file:
            return mark.fits(file)
    except UNREADABLE_GZIP:
        return False
