"""What a backup contains of every account, so that sites may be told which records they can forget.

A record is *archived* when every backup that the hub could be restored from has it: so it is the oldest backup that is
kept whose marks count. What is not archived stays at the sites as long as it fits.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct
from sqlalchemy import Connection, Engine

from farshore_hub.errors import Invalid
from farshore_hub.store.archived import archive, watermarks
from farshore_hub.store.engine import writing
from farshore_protocol.limits import MAX_SEQUENCE
from farshore_protocol.messages import Id, Name

FILE: Final = "archived.msgpack"
_ACCOUNTS_AT_ONCE: Final = 2_000
"""Sites wait for the transaction."""


class Mark(Struct, frozen=True, array_like=True):
    """Up to which sequence a backup has everything of one account."""

    site: Name
    incarnation: Id
    stream: Name
    upto: Annotated[int, Meta(ge=1, le=MAX_SEQUENCE)]


_MARKS: Final = msgspec.msgpack.Decoder(list[Mark])


def marks_of(connection: Connection) -> bytes:
    """The marks of all accounts, as of this connection's moment."""
    return pack([Mark(*each) for each in watermarks(connection)])


def pack(marks: list[Mark]) -> bytes:
    """As they stand in a backup."""
    return msgspec.msgpack.encode(marks)


def read_marks(raw: bytes) -> list[Mark]:
    """Read the marks of a backup.

    Raises:
        Invalid: these are no marks.
    """
    try:
        return _MARKS.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid(f"the marks of the backup cannot be read: {error}") from None


def apply_marks(engine: Engine, raw: bytes) -> int:
    """Note what is archived; returns of how many accounts there is something.

    Raises:
        Invalid: these are no marks.
    """
    marks = read_marks(raw)
    for start in range(0, len(marks), _ACCOUNTS_AT_ONCE):
        some = marks[start : start + _ACCOUNTS_AT_ONCE]
        with writing(engine) as connection:
            archive(connection, [(each.site, each.incarnation, each.stream, each.upto) for each in some])
    return len(marks)
