"""Every bound that both sides keep, in one place, and the relations that hold between them.

A value over its bound is refused before work or memory is spent on it. Units are in the names.
"""

from __future__ import annotations

from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB

MAX_NAME_CHARS: Final = 63
"""Site and stream names."""

MAX_SEQUENCE: Final = 2**63 - 1
"""Sequences fit a signed 64-bit integer everywhere, SQL included."""

MAX_RECORD_BYTES: Final = 1 * MIB
"""One record as JSON text."""

MAX_RECORD_DEPTH: Final = 32
"""Lists and mappings inside one another in one record."""

MAX_RECORD_FIELDS: Final = 4096
"""Keys at the top of one record."""

MAX_INTEGER_BITS: Final = 1024
"""An integer of a record. Larger ones are refused at the door: printing them takes quadratic time."""

MAX_BATCH_RECORDS: Final = 100_000
MAX_BATCH_BYTES: Final = 8 * MIB
"""One sealed batch, header and tag included."""

MAX_BODY_BYTES: Final = 32 * MIB
"""One batch, opened and inflated."""

MAX_DICTIONARY_BYTES: Final = 128 * KIB

MAX_PARCEL_BYTES: Final = 16 * MIB
MAX_PARCEL_BATCHES: Final = 4096
MAX_PARCEL_ATTACHMENTS: Final = 256
MAX_PARCEL_RECEIPTS: Final = 4096
MAX_PARCEL_CLAIMS: Final = 8192
"""Streams in one manifest."""

MAX_RANGES: Final = 4096
"""Ranges in one range set that crosses a link."""

MAX_STATEMENT_BYTES: Final = 6 * MIB
"""A statement opened takes twenty times its bytes."""

MAX_STATEMENT_RANGES: Final = 65_536
"""Ranges that an agent puts into one statement, all claims together; each claim has one at least."""

MAX_HOURS: Final = 4096
"""Hours in one list of counts by hour: half a year without a gap."""

MAX_STATEMENT_HOURS: Final = 16_384
"""Hours that an agent puts into one statement, in claims, batches and receipts together."""

MAX_ANSWER_BYTES: Final = 8 * MIB
"""An answer opened takes twenty times its bytes, and the agent is a small machine."""

MAX_ANSWER_RANGES: Final = 65_536
"""Ranges that a hub puts into one answer, all accounts together."""

MAX_FOLLOWED_TABLES: Final = 256
"""Tables that one site follows."""

MAX_TABLE_COLUMNS: Final = 2000
"""Of a table that is followed; SQLite's own bound."""

MAX_PAGE_ROWS: Final = 20_000
MAX_PAGES_BYTES: Final = 8 * MIB
"""Rows that come down at one time, inflated; a larger row does not come down."""

MAX_PAGES_PACKED_BYTES: Final = MAX_PAGES_BYTES
MAX_CURSOR_BYTES: Final = 256
MAX_ASK_BYTES: Final = 128 * KIB

MAX_TEXT_CHARS: Final = 500
"""A reason or a detail written for people."""

SLOWEST_BYTES_S: Final = 1 * KIB
"""A body that arrives at least so fast is given the time that it takes, beside what any body is given."""

MAX_BROKER_CHARS: Final = 300
"""Where a broker is."""

MAX_SETTINGS_CHARS: Final = 96 * KIB
"""Settings that a site is sent, as TOML."""

MAX_SETTINGS_DEPTH: Final = 32
"""Of any TOML: tables and lists inside one another, and parts of one dotted key."""

MAX_ORDER_BYTES: Final = 400 * KIB
MAX_ANSWER_ORDERS: Final = 2
"""The desired settings and a command."""

MAX_SCHEMA_BYTES: Final = 64 * KIB
"""The JSON Schema of an agent's settings, compressed."""

MAX_COMMAND_DATA_BYTES: Final = 256 * KIB
MAX_REPORT_PROBLEMS: Final = 50
MAX_REPORT_BYTES: Final = 512 * KIB

MAX_KEYRING_KEYS: Final = 8
"""Signing keys of a hub that are trusted at one time."""

MAX_KEYRING_AUTHORITIES: Final = 4
MAX_KEYRING_BYTES: Final = 12 * KIB
MAX_CHAIN_KEYRINGS: Final = 8
"""Keyrings in one answer; whoever lacks more gets on with the next one."""

MAX_ORDER_KEYRINGS: Final = 2
"""Whoever brings an order does not know what its site lacks."""

MAX_TOKEN_CHARS: Final = 2048
MAX_ENROLMENT_BYTES: Final = 32 * KIB

EARLIEST_EVENT_US: Final = 0
"""1970-01-01T00:00:00Z in microseconds. An event before it is a clock that was never set."""

LATEST_EVENT_US: Final = 7_258_118_400_000_000
"""2200-01-01T00:00:00Z in microseconds."""

assert MAX_BATCH_BYTES < MAX_PARCEL_BYTES, "a parcel must be able to carry the largest batch"
assert MAX_RECORD_BYTES < MAX_BATCH_BYTES, "a batch must be able to carry the largest record"
assert MAX_DICTIONARY_BYTES < MAX_BATCH_BYTES, "a dictionary travels as a batch"
assert (
    18 * MAX_STATEMENT_RANGES
    + 14 * MAX_STATEMENT_HOURS
    + 160 * MAX_PARCEL_CLAIMS
    + 16 * MAX_PARCEL_BATCHES
    + 800 * MAX_PARCEL_RECEIPTS
    < MAX_STATEMENT_BYTES
), "a statement must be able to carry all that it may"
assert 4 * MAX_SETTINGS_CHARS + 4 * KIB < MAX_ORDER_BYTES, "an order must be able to carry the largest settings"
assert (
    4 * MAX_TEXT_CHARS * (MAX_REPORT_PROBLEMS + 1) + MAX_SCHEMA_BYTES + MAX_COMMAND_DATA_BYTES + 8 * KIB
    < MAX_REPORT_BYTES
), "a report must be able to carry all that it may"
assert (
    18 * MAX_ANSWER_RANGES
    + 160 * 2 * MAX_PARCEL_CLAIMS
    + (800 + 18) * MAX_PARCEL_BATCHES
    + 10 * (MAX_PARCEL_BATCHES + MAX_PARCEL_ATTACHMENTS)
    + MAX_ANSWER_ORDERS * MAX_ORDER_BYTES
    + MAX_CHAIN_KEYRINGS * (MAX_KEYRING_BYTES + 8)
    < MAX_ANSWER_BYTES
), "an answer must be able to carry all that it may"
assert MAX_PAGES_PACKED_BYTES <= MAX_ANSWER_BYTES, "an agent takes no larger body than an answer"
assert MAX_FOLLOWED_TABLES * (MAX_CURSOR_BYTES + 2 * MAX_NAME_CHARS) < MAX_ASK_BYTES, "a question names all tables"
