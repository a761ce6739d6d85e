"""The layers that settings are made of, from a folder of TOML files: fleet, then groups, then the site. Pure.

`fleet.toml` is for every site, `groups/NAME.toml` for those whose labels it selects, `sites/NAME.toml` for one. What a
file says is an agent's settings, as in the agent's own file; its table `[layer]` is about the file itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from farshore_hub.expect.selector import Labels, Selector, selects
from farshore_protocol.limits import KIB
from farshore_protocol.names import BadName, check_site
from farshore_protocol.toml import read_toml

FLEET: Final = "fleet.toml"
ABOUT: Final = "layer"
"""The table about the file itself."""

MAX_FILES: Final = 20_000
MAX_FILE_CHARS: Final = 256 * KIB
MAX_ALL_CHARS: Final = 8 * 1024 * KIB
DEFAULT_PROBE_S: Final = 60
MAX_PROBE_S: Final = 86_400

_GROUP: Final = re.compile(r"groups/([a-z0-9][a-z0-9_-]{0,62})\.toml")
_SITE: Final = re.compile(r"sites/([^/]{1,80})\.toml")

Path = tuple[str, ...]
"""Where in the settings: the names of tables, then that of the key."""


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """What is wrong with a configuration, where, and what to do about it."""

    file: str
    at: Path
    what: str
    remedy: str = ""

    def __str__(self) -> str:
        where = f"{self.file}: {'.'.join(self.at)}" if self.at else self.file
        return f"{where} {self.what}" + (f" ({self.remedy})" if self.remedy else "")


class LayersInvalid(Exception):
    """Layers that cannot be used, with everything that is wrong with them."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = sorted(set(problems))
        super().__init__("\n".join(map(str, self.problems)))


@dataclass(frozen=True, slots=True)
class Layer:
    """One file.

    Attributes:
        file: its path in the folder.
        settings: what it says.
        labels: of a group: the sites whose labels have one of these values for each of these keys.
        order: of a group: among several the higher one is read later, and wins; the same order: by name.
        probe_s: how long a site watches itself under settings before it keeps them; None: nothing is said.
    """

    file: str
    settings: dict[str, Any] = field(default_factory=dict)
    labels: Selector = field(default_factory=dict)
    order: int = 0
    probe_s: int | None = None

    def selects(self, labels: Labels) -> bool:
        """Whether a site with these labels is in this group."""
        return selects(self.labels, labels)


@dataclass(frozen=True, slots=True)
class Layers:
    """All files of one configuration; `groups` in the order in which they are read."""

    fleet: Layer
    groups: tuple[Layer, ...]
    sites: Mapping[str, Layer]

    def of(self, site: str, labels: Labels) -> list[Layer]:
        """The layers of one site; each wins over those before it."""
        own = self.sites.get(site)
        return [self.fleet, *(each for each in self.groups if each.selects(labels)), *([own] if own else [])]


def read_layers(files: Mapping[str, str]) -> Layers:
    """Read a folder, given as path to text.

    Raises:
        LayersInvalid: with all that is wrong.
    """
    _check_size(files)
    problems: list[Problem] = []
    read = {path: _layer(path, text, problems) for path, text in files.items()}
    problems += [Problem(path, (), _PLACE) for path in files if path != FLEET and not _is_placed(path)]
    for path in files:
        if site := _SITE.fullmatch(path):
            _check_name(path, site[1], problems)
    if problems:
        raise LayersInvalid(problems)
    groups = [read[path] for path in sorted(files) if _GROUP.fullmatch(path)]
    sites = {found[1]: read[path] for path in files if (found := _SITE.fullmatch(path))}
    return Layers(read.get(FLEET, Layer(FLEET)), tuple(sorted(groups, key=lambda each: each.order)), sites)


_PLACE: Final = "has no place here: there are fleet.toml, groups/NAME.toml and sites/NAME.toml"


def _is_placed(path: str) -> bool:
    return bool(_GROUP.fullmatch(path) or _SITE.fullmatch(path))


def _check_size(files: Mapping[str, str]) -> None:
    if len(files) > MAX_FILES or sum(map(len, files.values())) > MAX_ALL_CHARS:
        raise LayersInvalid(
            [Problem("configuration", (), f"has more than {MAX_FILES} files or {MAX_ALL_CHARS} characters")]
        )


def _check_name(path: str, name: str, problems: list[Problem]) -> None:
    try:
        check_site(name)
    except BadName as error:
        problems.append(Problem(path, (), f"is for no site: {error}"))


def _layer(path: str, text: str, problems: list[Problem]) -> Layer:
    if len(text) > MAX_FILE_CHARS:
        problems.append(Problem(path, (), f"has more than {MAX_FILE_CHARS} characters"))
        return Layer(path)
    try:
        settings = read_toml(text)
    except ValueError as error:
        problems.append(Problem(path, (), f"is not TOML: {error}"))
        return Layer(path)
    about = settings.pop(ABOUT, {})
    if not isinstance(about, dict):
        problems.append(Problem(path, (ABOUT,), "is not a table"))
        return Layer(path)
    return _about(path, about, settings, problems)


def _about(path: str, about: dict[str, Any], settings: dict[str, Any], problems: list[Problem]) -> Layer:
    is_group = _GROUP.fullmatch(path) is not None
    known = {"probe_s", "labels", "order"} if is_group else {"probe_s"}
    problems += [
        Problem(path, (ABOUT, key), "is not known", f"known are {', '.join(sorted(known))}")
        for key in about.keys() - known
    ]
    probe_s, order = about.get("probe_s"), about.get("order", 0)
    if probe_s is not None and not (_is_int(probe_s) and 0 <= probe_s <= MAX_PROBE_S):
        problems.append(Problem(path, (ABOUT, "probe_s"), f"is not a number of seconds from 0 to {MAX_PROBE_S}"))
        probe_s = None
    if not _is_int(order):
        problems.append(Problem(path, (ABOUT, "order"), "is not a whole number"))
        order = 0
    labels = _labels(path, about.get("labels", {}), problems)
    if is_group and not labels:
        problems.append(Problem(path, (ABOUT, "labels"), "is missing", 'as in labels = { region = "north" }'))
    return Layer(path, settings, labels, order, probe_s)


def _labels(path: str, given: object, problems: list[Problem]) -> dict[str, tuple[str, ...]]:
    wrong = Problem(path, (ABOUT, "labels"), "is not a table of texts or lists of texts")
    if not isinstance(given, dict):
        problems.append(wrong)
        return {}
    read: dict[str, tuple[str, ...]] = {}
    for key, value in given.items():
        values = value if isinstance(value, list) else [value]
        if not values or not all(isinstance(each, str) for each in values):
            problems.append(wrong)
        read[key] = tuple(values)
    return read


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
