"""Times written as text, such as 2014-04-10 00:04:00, as integers that count from 1970.

A style says how the text is put together: date, separator, clock, fraction, suffix. Only text that comes back
character by character has a style.
"""

from __future__ import annotations

from datetime import date
from typing import Final, NamedTuple

from farshore_protocol.columns import lanes
from farshore_protocol.columns.lanes import Integers
from farshore_protocol.columns.reader import Reader
from farshore_protocol.columns.writer import Writer

_SEPARATORS: Final = ("T", " ", ":")
_SUFFIXES: Final = ("", "Z", "+00:00", " +0000")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_ISO, _LOG = 0, 1
_DATE_CHARS: Final = {_ISO: 10, _LOG: 11}
_CLOCK_CHARS: Final = 8
_MAX_DIGITS: Final = 9
_DAY_S: Final = 86_400
_EPOCH: Final = date(1970, 1, 1).toordinal()
_DAYS: Final = (date.min.toordinal() - _EPOCH, date.max.toordinal() - _EPOCH)

_FARTHEST: Final = 1 << 62
"""Times go to 2^62 units either way."""

_MINUTES: Final = [f"{minute // 60:02d}:{minute % 60:02d}" for minute in range(1440)]
_SECONDS: Final = [f":{second:02d}" for second in range(60)]

_CLOCK_DIGITS: Final = (1, 2, 4, 5, 7, 8)
_FRACTION: Final = _CLOCK_CHARS + 2
"""Where the digits of the clock and of the fraction of a second stand after the date."""

_DIGITS: Final = b"0123456789"
_VALUES: Final = bytes.maketrans(_DIGITS, bytes(range(10)))
_HOURS: Final = bytes(range(24))
_SIXTY: Final = bytes(range(60))


class TimeStyle(NamedTuple):
    """How a time is written.

    Attributes:
        calendar: 0 for 2015-05-17, 1 for 17/May/2015.
        separator: the index of "T", " " or ":".
        digits: of the fraction of a second; without a fraction there is no point either.
        suffix: the index of "", "Z", "+00:00" or " +0000".
    """

    calendar: int
    separator: int
    digits: int
    suffix: int


def find_style(text: str) -> TimeStyle | None:
    """The style that `text` may have; whether it has is seen when it is parsed."""
    for calendar, chars in _DATE_CHARS.items():
        end = chars + 1 + _CLOCK_CHARS
        if len(text) < end or text[chars] not in _SEPARATORS or text[chars + 3] != ":":
            continue
        rest = text[end:]
        digits = 0
        if rest[:1] == ".":
            digits = len(rest) - 1 - len(rest[1:].lstrip("0123456789"))
            rest = rest[digits + 1 :]
        if rest in _SUFFIXES and digits <= _MAX_DIGITS:
            return TimeStyle(calendar, _SEPARATORS.index(text[chars]), digits, _SUFFIXES.index(rest))
    return None


def parse(values: list[str], style: TimeStyle) -> Integers | None:
    """The times in units of the last digit since 1970, or None if one would not come back as it is written."""
    pattern = write([0], style)[0]
    joined = "".join(values)
    if not joined.isascii() or set(map(len, values)) != {len(pattern)}:
        return None
    raw = joined.encode()
    # What stands at each place, in all texts: there are few places, and each is looked at for all texts at once.
    places = [raw[at :: len(pattern)] for at in range(len(pattern))]
    date_chars = _DATE_CHARS[style.calendar]
    clock = [date_chars + at for at in _CLOCK_DIGITS]
    fraction = range(date_chars + _FRACTION, date_chars + _FRACTION + style.digits)
    for at in range(date_chars, len(pattern)):
        allowed = _DIGITS if at in clock or at in fraction else pattern[at].encode()
        if places[at].translate(None, allowed):
            return None
    hours, minutes, seconds = (_pairs(places[at], places[at + 1]) for at in clock[::2])
    if hours.translate(None, _HOURS) or minutes.translate(None, _SIXTY) or seconds.translate(None, _SIXTY):
        return None
    days = _days_of(values, places[:date_chars], style)
    if days is None:
        return None
    unit = 10**style.digits
    parts = [(hours, 3600 * unit), (minutes, 60 * unit), (seconds, unit)]
    parts += [(places[at].translate(_VALUES), 10 ** (fraction[-1] - at)) for at in fraction]
    return Integers.from_lanes(lanes.plus(lanes.weighted(parts), days))


def write(times: list[int], style: TimeStyle) -> list[str]:
    """The inverse of `parse`.

    Raises:
        ValueError: a time is outside the years 1 to 9999.
    """
    unit = 10**style.digits
    tail = _SUFFIXES[style.suffix]
    if unit == 1:
        texts = {time: _write_second(time, style) + tail for time in set(times)}
        return list(map(texts.__getitem__, times))
    seconds = {second: _write_second(second, style) for second in {time // unit for time in times}}
    fractions = {rest: f".{rest:0{style.digits}d}{tail}" for rest in {time % unit for time in times}}
    return [seconds[time // unit] + fractions[time % unit] for time in times]


def _write_second(time: int, style: TimeStyle) -> str:
    day, second = divmod(time, _DAY_S)
    return _write_day(day, style) + _MINUTES[second // 60] + _SECONDS[second % 60]


def write_style(out: Writer, style: TimeStyle) -> None:
    """Four numbers."""
    for part in style:
        out.uint(part)


def read_style(reader: Reader) -> TimeStyle:
    """The style that `write_style` wrote."""
    bounds = (_LOG, len(_SEPARATORS) - 1, _MAX_DIGITS, len(_SUFFIXES) - 1)
    return TimeStyle(*[reader.bounded(bound, "a part of a time's style") for bound in bounds])


def _parse_day(text: str, calendar: int, unit: int) -> int:
    if calendar == _LOG:
        parsed = date(int(text[7:]), _MONTHS.index(text[3:6]) + 1, int(text[:2]))
    else:
        parsed = date.fromisoformat(text)
    if _day_text(parsed, calendar) != text:
        raise ValueError("not the usual form of a date")
    day = parsed.toordinal() - _EPOCH
    if not -_FARTHEST <= day * unit <= _FARTHEST:
        raise ValueError("too far for 64 bits")
    return day


def _days_of(values: list[str], places: list[bytes], style: TimeStyle) -> bytes | None:
    """The day of each text as lanes, in units of the last digit; None if one is no day, or too far for 64 bits."""
    chars, unit = len(places), _DAY_S * 10**style.digits
    try:
        if all(place.count(place[0]) == len(place) for place in places):
            return lanes.repeated(_parse_day(values[0][:chars], style.calendar, unit) * unit, len(values))
        texts = [text[:chars] for text in values]
        days = {text: _parse_day(text, style.calendar, unit) * unit for text in set(texts)}
    except ValueError:
        return None
    return lanes.from_list(list(map(days.__getitem__, texts)))


def _pairs(tens: bytes, ones: bytes) -> bytes:
    """Numbers of two digits, one byte each."""
    left, right = (int.from_bytes(place.translate(_VALUES), "little") for place in (tens, ones))
    return (left * 10 + right).to_bytes(len(tens), "little")


def _write_day(day: int, style: TimeStyle) -> str:
    if not _DAYS[0] <= day <= _DAYS[1]:
        raise ValueError("outside the years 1 to 9999")
    return _day_text(date.fromordinal(day + _EPOCH), style.calendar) + _SEPARATORS[style.separator]


def _day_text(day: date, calendar: int) -> str:
    return f"{day.day:02d}/{_MONTHS[day.month - 1]}/{day.year:04d}" if calendar == _LOG else day.isoformat()
