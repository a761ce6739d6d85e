"""Times written as text, such as 2014-04-10 00:04:00, as integers that count from 1970.

A style says how the text is put together: date, separator, clock, fraction, suffix. Only text that comes back
character by character has a style.
"""

from __future__ import annotations

from datetime import date
from typing import Final, NamedTuple

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

_MINUTES: Final = [f"{minute // 60:02d}:{minute % 60:02d}" for minute in range(1440)]
_SECONDS: Final = [f":{second:02d}" for second in range(60)]
_MINUTE_S: Final = {text: 60 * at for at, text in enumerate(_MINUTES)}
_SECOND_S: Final = {text: at for at, text in enumerate(_SECONDS)}


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


def parse(values: list[str], style: TimeStyle) -> list[int] | None:
    """The times in units of the last digit since 1970, or None if one would not come back as it is written."""
    chars = _DATE_CHARS[style.calendar]
    clock, seconds, fraction = chars + 1, chars + 6, chars + 1 + _CLOCK_CHARS
    middle, tail = _SEPARATORS[style.separator], _SUFFIXES[style.suffix]
    length = fraction + (1 + style.digits if style.digits else 0)
    unit = 10**style.digits
    days: dict[str, int] = {}
    times = []
    try:
        for text in values:
            day = text[:chars]
            if day not in days:
                days[day] = _parse_day(day, style.calendar)
            if text[chars] != middle or text[length:] != tail:
                return None
            time = days[day] + _MINUTE_S[text[clock:seconds]] + _SECOND_S[text[seconds:fraction]]
            if style.digits:
                time = time * unit + _parse_fraction(text[fraction:length])
            times.append(time)
    except (ValueError, KeyError, IndexError):
        return None
    return times


def write(times: list[int], style: TimeStyle) -> list[str]:
    """The inverse of `parse`.

    Raises:
        ValueError: a time is outside the years 1 to 9999.
    """
    unit = 10**style.digits
    tail = _SUFFIXES[style.suffix]
    whole = times if unit == 1 else [time // unit for time in times]
    days = {day: _write_day(day, style) for day in {time // _DAY_S for time in whole}}
    texts = [days[time // _DAY_S] + _MINUTES[time % _DAY_S // 60] + _SECONDS[time % 60] for time in whole]
    if style.digits:
        return [f"{text}.{time % unit:0{style.digits}d}{tail}" for text, time in zip(texts, times, strict=True)]
    return [text + tail for text in texts] if tail else texts


def write_style(out: Writer, style: TimeStyle) -> None:
    """Four numbers."""
    for part in style:
        out.uint(part)


def read_style(reader: Reader) -> TimeStyle:
    """The style that `write_style` wrote."""
    bounds = (_LOG, len(_SEPARATORS) - 1, _MAX_DIGITS, len(_SUFFIXES) - 1)
    return TimeStyle(*[reader.bounded(bound, "a part of a time's style") for bound in bounds])


def _parse_day(text: str, calendar: int) -> int:
    if calendar == _LOG:
        parsed = date(int(text[7:]), _MONTHS.index(text[3:6]) + 1, int(text[:2]))
    else:
        parsed = date.fromisoformat(text)
    if _day_text(parsed, calendar) != text:
        raise ValueError("not the usual form of a date")
    return (parsed.toordinal() - _EPOCH) * _DAY_S


def _parse_fraction(text: str) -> int:
    if text[0] != "." or not (text[1:].isascii() and text[1:].isdigit()):
        raise ValueError("not a fraction")
    return int(text[1:])


def _write_day(day: int, style: TimeStyle) -> str:
    if not _DAYS[0] <= day <= _DAYS[1]:
        raise ValueError("outside the years 1 to 9999")
    return _day_text(date.fromordinal(day + _EPOCH), style.calendar) + _SEPARATORS[style.separator]


def _day_text(day: date, calendar: int) -> str:
    return f"{day.day:02d}/{_MONTHS[day.month - 1]}/{day.year:04d}" if calendar == _LOG else day.isoformat()
