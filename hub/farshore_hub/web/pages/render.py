"""Templates to answers: how numbers and times are written, and the headers that keep a page to itself."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from farshore_protocol import __version__

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}
"""Of every page: nothing is loaded from elsewhere, nothing inline runs, and nobody frames it."""

_THIN_SPACE: Final = "\u202f"
_GROUPED_FROM: Final = 10_000
_US_PER_S: Final = 1_000_000
_UNITS: Final = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))


def number(value: int) -> str:
    """A whole number, in groups of three from five digits on."""
    text = f"{value:,}" if abs(value) >= _GROUPED_FROM else str(value)
    return text.replace(",", _THIN_SPACE)


def moment(time_us: int | None) -> Markup:
    """A time for people: UTC as it comes from the hub; the browser shows it in its own zone."""
    if time_us is None:
        return Markup('<span class="none">never</span>')
    try:
        at = datetime.fromtimestamp(time_us // _US_PER_S, UTC)
    except (OverflowError, ValueError, OSError):
        return Markup('<span class="none">out of range</span>')
    exact, shown = at.strftime("%Y-%m-%dT%H:%M:%SZ"), at.strftime("%Y-%m-%d %H:%M")
    return Markup('<time datetime="{}" title="{} UTC">{}</time>').format(exact, exact[:-1].replace("T", " "), shown)


def offset(us: int | None) -> str:
    """A clock's offset: with its sign and the unit that fits."""
    if us is None:
        return "not known"
    sign = "+" if us > 0 else "\u2212" if us < 0 else "±"
    size = abs(us)
    if size < _US_PER_S:
        return f"{sign}{size / 1000:.0f} ms"
    if size < 120 * _US_PER_S:
        return f"{sign}{size / _US_PER_S:.1f} s"
    return f"{sign}{duration(size // _US_PER_S)}"


def duration(seconds: int) -> str:
    """A duration in its two largest units."""
    parts: list[str] = []
    for unit, size in _UNITS:
        if seconds >= size and len(parts) < 2:  # noqa: PLR2004 - two, as the text says
            parts.append(f"{seconds // size} {unit}")
            seconds %= size
    return " ".join(parts) or "0 s"


def plural(count: int, one: str, many: str = "") -> str:
    """A number with its noun."""
    return f"{number(count)} {one if count == 1 else many or one + 's'}"


def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("farshore_hub.web.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters |= {"number": number, "moment": moment, "offset": offset, "duration": duration, "plural": plural}
    made.globals["version"] = __version__
    return made


_templates: Final = _environment()


def html(template: str, **shown: Any) -> str:  # noqa: ANN401 - whatever the template shows
    """A template's text."""
    return _templates.get_template(template).render(shown)


def page(template: str, *, status: int = 200, headers: dict[str, str] | None = None, **shown: Any) -> HTMLResponse:  # noqa: ANN401
    """A whole page with its headers."""
    return HTMLResponse(html(template, **shown), status, HEADERS | (headers or {}))
