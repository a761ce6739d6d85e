"""A drop folder: files that programs or people put there are stored line by line, then kept, moved or deleted.

Write a file under another name and rename it into place, or append to it: what is complete is taken at once, and the
last line, if it lacks its end, when the file has been at rest for a few polls. A file is moved or deleted only when all
of it is on disk. Names that start with a dot or end in `.tmp` or `.part` are left alone.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from stat import S_ISREG
from typing import ClassVar, Final

from farshore_agent.buffer.model import Checkpoint
from farshore_agent.collect.feed import Feed
from farshore_agent.collect.formats import NOTHING, FileFormat, UnusableFile
from farshore_agent.collect.input import InputContext, append_patiently
from farshore_agent.collect.mark import Mark, unpack
from farshore_agent.errors import StreamNotFound
from farshore_agent.settings.inputs import InputSettings
from farshore_agent.settings.kinds import LocalPath, Text, Whole, Word
from farshore_agent.settings.table import setting
from farshore_agent.settings.units import MINUTE_S, duration
from farshore_protocol.limits import MAX_NAME_CHARS
from farshore_protocol.names import check_stream

STEM: Final = "{stem}"
DONE: Final = "done"
"""Folder within the watched one for files that are moved."""

_UNFINISHED: Final = (".tmp", ".part")
_LOG = logging.getLogger(__name__)


def _check_stream(text: str) -> None:
    check_stream(text.replace(STEM, "x"))


def stem_of(name: str) -> str:
    """What `{stem}` stands for: the name up to its first dot, in the letters that a stream may have."""
    stem = re.sub(r"[^a-z0-9_-]+", "_", name.partition(".")[0].lower())
    return stem.strip("_-")[:MAX_NAME_CHARS]


@dataclass(frozen=True, kw_only=True)
class FolderSettings(InputSettings):
    """`[inputs.NAME]` with `type = "folder"`.

    Attributes:
        pattern: which files, by their names; `*` and `?` stand for anything.
        stream: where to; `{stem}` is the file's name up to its first dot.
        delimiter: of CSV cells.
        after: what happens to a file that is stored.
        rest_polls: a file that did not change for so many polls is complete.
    """

    type: str = setting(Word.of("folder"))
    path: Path = setting(LocalPath())
    pattern: str = setting(Text(low=1), default="*")
    stream: str = setting(Text(check=_check_stream))
    format: FileFormat = setting(Word.of_enum(FileFormat), default=FileFormat.AUTO)
    delimiter: str = setting(Text(1, 1), default=",")
    after: str = setting(Word.of("keep", "move", "delete"), default="keep")
    poll_s: float = setting(duration(0.01, 60 * MINUTE_S), key="poll", default=1)
    rest_polls: int = setting(Whole(1, 1000), default=3)

    def claims(self) -> tuple[str, ...]:
        """The files."""
        return (f"the files {self.path / self.pattern}",)

    def streams(self) -> tuple[str, ...]:
        """The stream, where it does not depend on the file."""
        return () if STEM in self.stream else (self.stream,)


@dataclass(slots=True)
class _Seen:
    """What is known of a file since this start."""

    size: int
    changed_ns: int
    mark: Mark
    polls_at_rest: int = 0
    is_done: bool = False

    def look(self, size: int, changed_ns: int) -> bool:
        """Count a poll; True if there is something to read."""
        if (size, changed_ns) == (self.size, self.changed_ns):
            self.polls_at_rest += 1
            return False
        self.size, self.changed_ns, self.polls_at_rest, self.is_done = size, changed_ns, 0, False
        return True


class FolderInput:
    """Looks at the folder again and again."""

    Settings: ClassVar[type[FolderSettings]] = FolderSettings

    def __init__(self, name: str, settings: FolderSettings, context: InputContext) -> None:
        self.name = name
        self._settings = settings
        self._context = context
        self._seen: dict[str, _Seen] = {}
        self._is_missing = False

    async def run(self) -> None:
        """Poll until cancelled."""
        self._context.opened(" and ".join(self._settings.claims()))
        while True:
            await self.poll()
            await self._context.clock.sleep(self._settings.poll_s)

    async def poll(self) -> None:
        """Look at every file once, the oldest first."""
        files = sorted(self._files())
        for name in self._seen.keys() - {path.name for _, _, path in files}:
            del self._seen[name]
        for changed_ns, size, path in files:
            try:
                await self._look_at(path, size, changed_ns)
            except OSError as error:
                _LOG.warning("inputs.%s: %s: %s", self.name, path, error)
                self._seen.pop(path.name, None)
            except (UnusableFile, StreamNotFound) as error:
                _LOG.error("inputs.%s: %s is left as it is: %s", self.name, path, error)
                await self._leave(path, size, changed_ns)

    def _files(self) -> Iterator[tuple[int, int, Path]]:
        """Change time, size and path of the files that match."""
        try:
            paths = list(self._settings.path.iterdir())
        except OSError as error:
            if not self._is_missing:
                _LOG.warning("inputs.%s: waiting for the folder: %s", self.name, error)
            self._is_missing = True
            return
        self._is_missing = False
        for path in paths:
            if not fnmatchcase(path.name, self._settings.pattern) or path.name.startswith("."):
                continue
            try:
                status = path.stat()
            except OSError:
                continue  # gone since, or a link to nowhere
            if S_ISREG(status.st_mode) and path.suffix not in _UNFINISHED:
                yield status.st_mtime_ns, status.st_size, path

    async def _look_at(self, path: Path, size: int, changed_ns: int) -> None:
        seen = self._seen.get(path.name)
        if seen is None:
            mark = unpack(await self._context.load_checkpoint(self._key(path)))
            seen = self._seen[path.name] = _Seen(-1, -1, mark)
        has_news = seen.look(size, changed_ns)
        is_at_rest = seen.polls_at_rest >= self._settings.rest_polls
        if seen.is_done or not (has_news or is_at_rest) or (path.suffix == ".gz" and not is_at_rest):
            return
        seen.mark = await self._feed(path).read_on(path, seen.mark, final=is_at_rest)
        if is_at_rest:
            seen.is_done = True
            if self._put_away(path, size, changed_ns):
                # The next file of that name is another one, even if it begins alike.
                checkpoint = Checkpoint(self._key(path), b"")
                await append_patiently(self._context, self._feed(path).stream, NOTHING, checkpoint)

    async def _leave(self, path: Path, size: int, changed_ns: int) -> None:
        """Do not look at the file again until it changes; a part of it may be stored."""
        mark = unpack(await self._context.load_checkpoint(self._key(path)))
        self._seen[path.name] = _Seen(size, changed_ns, mark, is_done=True)

    def _feed(self, path: Path) -> Feed:
        stream = self._settings.stream.replace(STEM, stem_of(path.name))
        return Feed(self._context, stream, self._key(path), self._settings.format, self._settings.delimiter)

    def _key(self, path: Path) -> str:
        return f"{self.name}/{path.name}"

    def _put_away(self, path: Path, size: int, changed_ns: int) -> bool:
        """All of the file is on disk: do with it as the settings say, unless it has grown meanwhile."""
        status = path.stat()
        if self._settings.after == "keep" or (status.st_size, status.st_mtime_ns) != (size, changed_ns):
            return False
        if self._settings.after == "delete":
            path.unlink()
        else:
            path.rename(_free_name(self._settings.path / DONE, path.name))
        return True


def _free_name(folder: Path, name: str) -> Path:
    folder.mkdir(exist_ok=True)
    target, count = folder / name, 1
    while target.exists():
        target, count = folder / f"{name}.{count}", count + 1
    return target
