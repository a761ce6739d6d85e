"""From the layers of one site to its desired settings: merged key by key, with values of the site put in. Pure.

A text may name what belongs to the site: `${site.name}`, `${labels.KEY}`, `${secret.NAME}`; `$${` is a plain `${`. What
is named and is not there is a problem, never an empty text. Secrets stay names until the order is sealed.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import tomli_w

from farshore_hub.orders.layers import DEFAULT_PROBE_S, Layer, Path, Problem
from farshore_protocol.batch import DIGEST_BYTES
from farshore_protocol.limits import MAX_SETTINGS_CHARS

_NAMED: Final = re.compile(r"\$\$\{|\$\{([^{}]*)\}")
_SECRET: Final = "secret"  # noqa: S105 - the word that names one


@dataclass(frozen=True, slots=True)
class Attributes:
    """What belongs to a site: its name, its labels, and of the hub's secrets how often each was set."""

    site: str
    labels: Mapping[str, str]
    secrets: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Rendered:
    """The desired settings of one site.

    Attributes:
        document: as people may see it: secrets are `${secret.NAME}`.
        origins: which file each key comes from.
        secrets: names of the secrets that are in it.
        digest: the same for the same settings; another one when a secret was set anew.
        probe_s: how long the site is to watch itself.
    """

    document: dict[str, Any]
    origins: Mapping[Path, str]
    secrets: frozenset[str]
    digest: bytes
    probe_s: int
    _parts: dict[str, Any]

    def with_secrets(self, values: Mapping[str, str]) -> dict[str, Any]:
        """The settings as the site gets them.

        Raises:
            KeyError: a secret has no value.
        """
        filled: dict[str, Any] = _mapped(self._parts, lambda part: values[part.name] if _is_secret(part) else part)
        return filled

    def file_of(self, at: Path) -> str:
        """The file that says what stands there, or the nearest around it."""
        for end in range(len(at), 0, -1):
            if at[:end] in self.origins:
                return self.origins[at[:end]]
        return next(iter(self.origins.values()), "configuration")


@dataclass(frozen=True, slots=True)
class _Secret:
    name: str


@dataclass(frozen=True, slots=True)
class _Parts:
    """A text with secrets in it."""

    parts: tuple[str | _Secret, ...]


def render(layers: Sequence[Layer], attributes: Attributes) -> tuple[Rendered, list[Problem]]:
    """The settings of one site, and what cannot be put in."""
    merged: dict[str, Any] = {}
    origins: dict[Path, str] = {}
    probe_s = DEFAULT_PROBE_S
    for layer in layers:
        _merge(merged, layer.settings, layer.file, (), origins)
        probe_s = layer.probe_s if layer.probe_s is not None else probe_s
    problems: list[Problem] = []
    filled = {key: _filled(value, attributes, _Place(origins, (key,)), problems) for key, value in merged.items()}
    used = frozenset(_secrets_in(filled))
    shown = _mapped(filled, lambda part: f"${{secret.{part.name}}}" if _is_secret(part) else part)
    digest = _digest(filled, attributes, probe_s)
    return Rendered(shown, origins, used, digest, probe_s, filled), problems


def toml_of(document: dict[str, Any]) -> str:
    """Settings as TOML."""
    return tomli_w.dumps(document)


def size_problem(toml: str) -> Problem | None:
    """Whether that is more than an order carries."""
    if len(toml) <= MAX_SETTINGS_CHARS:
        return None
    return Problem("configuration", (), f"has {len(toml)} characters for this site; {MAX_SETTINGS_CHARS} are allowed")


@dataclass(frozen=True, slots=True)
class _Place:
    origins: Mapping[Path, str]
    at: Path

    def inner(self, key: str) -> _Place:
        return _Place(self.origins, (*self.at, key))

    def problem(self, what: str, remedy: str) -> Problem:
        files = (self.origins[self.at[:end]] for end in range(len(self.at), 0, -1) if self.at[:end] in self.origins)
        return Problem(next(files), self.at, what, remedy)


def _merge(into: dict[str, Any], new: dict[str, Any], file: str, at: Path, origins: dict[Path, str]) -> None:
    for key, value in new.items():
        here, known = (*at, key), into.get(key)
        if isinstance(value, dict) and isinstance(known, dict):
            _merge(known, value, file, here, origins)
            continue
        for each in [each for each in origins if each[: len(here)] == here]:
            del origins[each]
        origins[here] = file
        if isinstance(value, dict):
            into[key] = {}
            _merge(into[key], value, file, here, origins)
        else:
            into[key] = value


def _filled(value: Any, attributes: Attributes, place: _Place, problems: list[Problem]) -> Any:  # noqa: ANN401 - TOML's
    if isinstance(value, dict):
        return {key: _filled(inner, attributes, place.inner(key), problems) for key, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, attributes, place, problems) for inner in value]
    return _text(value, attributes, place, problems) if isinstance(value, str) and "${" in value else value


def _text(text: str, attributes: Attributes, place: _Place, problems: list[Problem]) -> str | _Parts:
    parts: list[str | _Secret] = []
    end = 0
    for found in _NAMED.finditer(text):
        parts.append(text[end : found.start()])
        parts.append("${" if found[1] is None else _value(found[1], attributes, place, problems))
        end = found.end()
    parts.append(text[end:])
    if any(map(_is_secret, parts)):
        return _Parts(tuple(part for part in parts if part))
    return "".join(part for part in parts if isinstance(part, str))


def _value(name: str, attributes: Attributes, place: _Place, problems: list[Problem]) -> str | _Secret:
    kind, _, key = name.partition(".")
    if name == "site.name":
        return attributes.site
    if kind == "labels" and key in attributes.labels:
        return attributes.labels[key]
    if kind == _SECRET and key in attributes.secrets:
        return _Secret(key)
    what = f"names ${{{name[:80]}}}, which site {attributes.site} does not have"
    remedies = {
        "labels": f"farshore-hub site label {attributes.site} {key or 'KEY'}=VALUE",
        _SECRET: f"farshore-hub secret set {key or 'NAME'}",
    }
    known = "there are ${site.name}, ${labels.KEY} and ${secret.NAME}; write $${ for a plain ${"
    problems.append(place.problem(what, remedies.get(kind, known)))
    return ""


def _is_secret(part: object) -> bool:
    return isinstance(part, _Secret)


def _mapped(value: Any, shown: Callable[[Any], Any]) -> Any:  # noqa: ANN401 - TOML's
    if isinstance(value, dict):
        return {key: _mapped(inner, shown) for key, inner in value.items()}
    if isinstance(value, list):
        return [_mapped(inner, shown) for inner in value]
    return "".join(map(shown, value.parts)) if isinstance(value, _Parts) else value


def _secrets_in(value: Any) -> Iterator[str]:  # noqa: ANN401 - TOML's
    if isinstance(value, _Parts):
        yield from (part.name for part in value.parts if isinstance(part, _Secret))
    elif isinstance(value, (dict, list)):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _secrets_in(inner)


def _digest(filled: dict[str, Any], attributes: Attributes, probe_s: int) -> bytes:
    """Over names and versions of secrets, not over their values, which could be guessed from it."""
    said = json.dumps([_plain(filled, attributes.secrets), probe_s], sort_keys=True)
    return hashlib.sha256(said.encode("utf-8", "surrogatepass")).digest()[:DIGEST_BYTES]


def _plain(value: Any, versions: Mapping[str, int]) -> Any:  # noqa: ANN401 - TOML's
    """As JSON in which no two different settings look alike."""
    if isinstance(value, dict):
        return {key: _plain(inner, versions) for key, inner in value.items()}
    if isinstance(value, list):
        return ["list", *(_plain(inner, versions) for inner in value)]
    if isinstance(value, _Parts):
        return ["text", *(part if isinstance(part, str) else [part.name, versions[part.name]] for part in value.parts)]
    return value if isinstance(value, (str, bool, int)) else [type(value).__name__, str(value)]
