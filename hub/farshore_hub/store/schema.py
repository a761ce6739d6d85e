"""The hub's tables, written once for SQLite and PostgreSQL.

Ids are 64-bit. Times are microseconds since 1970 (`_us`). Incarnations, digests and keys are bytes; range sets are
packed as MessagePack of their wire form. A batch, its account and its intervals are written in one transaction.

*Facts* are only ever added: batches (and when one was found damaged), receipts, claims, silences. Accounts, intervals
and the counts by day are a *projection* of them, which `ledger rebuild` makes again.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_ID: Final = BigInteger().with_variant(Integer(), "sqlite")
"""SQLite numbers only INTEGER PRIMARY KEY by itself."""


def _counted(name: str, comment: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False, server_default="0", comment=comment)


def _id() -> Column[Any]:
    return Column("id", _ID, primary_key=True, autoincrement=True)


def _site() -> Column[Any]:
    return Column("site_id", _ID, ForeignKey("sites.id"), nullable=False)


def _account() -> Column[Any]:
    return Column("account_id", _ID, ForeignKey("accounts.id"), nullable=False)


hub_meta = Table(
    "hub_meta",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("value", LargeBinary, nullable=False),
    comment="Facts about the hub itself, and leases.",
)

sites = Table(
    "sites",
    metadata,
    _id(),
    Column("name", String(63), nullable=False, unique=True),
    Column("state", String(16), nullable=False, comment="pending, active or revoked"),
    Column("signing_key", LargeBinary, comment="Ed25519 public key, once the site is enrolled"),
    Column("created_us", BigInteger, nullable=False),
    Column("enrolled_us", BigInteger),
    Column("revoked_us", BigInteger),
    Column("last_seen_us", BigInteger),
    Column("clock_offset_us", BigInteger, comment="the site's clock minus the hub's"),
    Column("agent_version", String(500)),
    Column("heard", BigInteger, nullable=False, server_default="0", comment="its newest report; 0: who is it?"),
    Column("has_orders", Boolean, nullable=False, server_default=false(), comment="that it has not reported on"),
)

site_labels = Table(
    "site_labels",
    metadata,
    Column("site_id", _ID, ForeignKey("sites.id"), primary_key=True, autoincrement=False),
    Column("key", String(63), primary_key=True),
    Column("value", String(255), nullable=False),
    comment="What an operator says of sites: groups of the fleet are chosen by it.",
)

join_tokens = Table(
    "join_tokens",
    metadata,
    Column("secret_hash", LargeBinary, primary_key=True),
    _site(),
    Column("expires_us", BigInteger, nullable=False),
    Column("used_us", BigInteger),
    comment="One-use secrets, kept as their SHA-256.",
)

certificates = Table(
    "certificates",
    metadata,
    Column("serial", String(40), primary_key=True, comment="lower-case hex"),
    _site(),
    Column("issued_us", BigInteger, nullable=False),
    Column("not_after_us", BigInteger, nullable=False),
)

api_tokens = Table(
    "api_tokens",
    metadata,
    Column("hash", LargeBinary, primary_key=True),
    Column("name", String(63), nullable=False, unique=True),
    Column("role", String(16), nullable=False, comment="viewer, operator or admin"),
    Column("created_us", BigInteger, nullable=False),
    Column("revoked_us", BigInteger),
    comment="What people and scripts sign in with, kept as its SHA-256.",
)

key_epochs = Table(
    "key_epochs",
    metadata,
    Column("site_id", _ID, ForeignKey("sites.id"), primary_key=True, autoincrement=False),
    Column("epoch", LargeBinary, primary_key=True),
    Column("message", LargeBinary, nullable=False, comment="the packed, still sealed KeyEpoch"),
    Column("signed_by", LargeBinary, nullable=False, comment="the site's signing key when it was stored"),
)

dictionaries = Table(
    "dictionaries",
    metadata,
    Column("site_id", _ID, ForeignKey("sites.id"), primary_key=True, autoincrement=False),
    Column("dictionary", LargeBinary, primary_key=True),
    Column("content", LargeBinary, nullable=False, comment="the sealed batch of kind DICTIONARY"),
)

_UNTOLD: Final = text("told_count < head AND stored_count + receipted_count < head")

accounts = Table(
    "accounts",
    metadata,
    _id(),
    _site(),
    Column("incarnation", LargeBinary, nullable=False),
    Column("stream", String(127), nullable=False),
    Column("head", BigInteger, nullable=False, server_default="0"),
    Column("held", LargeBinary, nullable=False, comment="packed ranges: at the edge, as last stated"),
    Column("oldest_us", BigInteger, comment="event time of the oldest that is held"),
    Column("closed", Boolean, nullable=False, server_default=false()),
    Column("stated_by", LargeBinary, comment="the incarnation whose claim was applied last"),
    Column("statement_number", BigInteger, nullable=False, server_default="0"),
    Column("stated_us", BigInteger, comment="the hub's clock at the last claim"),
    Column("stored_count", BigInteger, nullable=False, server_default="0"),
    Column("receipted_count", BigInteger, nullable=False, server_default="0", comment="receipted and not stored"),
    Column("told_count", BigInteger, nullable=False, server_default="0", comment="produced, as told by the hour"),
    Column("placed", Boolean, nullable=False, server_default=false(), comment="some hours are inferred"),
    Column("archived", BigInteger, nullable=False, server_default="0", comment="up to here backups have everything"),
    UniqueConstraint("site_id", "incarnation", "stream"),
    Index("ix_accounts_untold", "site_id", sqlite_where=_UNTOLD, postgresql_where=_UNTOLD),
    comment="What the hub has of one stream of one site in one incarnation.",
)

intervals = Table(
    "intervals",
    metadata,
    Column("account_id", _ID, ForeignKey("accounts.id"), primary_key=True, autoincrement=False),
    Column("kind", String(12), primary_key=True, comment="stored, receipted or wanted"),
    Column("first", BigInteger, primary_key=True, autoincrement=False),
    Column("last", BigInteger, nullable=False),
    comment="The range sets of an account: disjoint, and ranges that touch are joined.",
)

receipts = Table(
    "receipts",
    metadata,
    _id(),
    _account(),
    Column("first", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    Column("reason", String(16), nullable=False),
    Column("detail", Text, nullable=False, server_default=""),
    Column("at_us", BigInteger, nullable=False, comment="the site's clock"),
    Column("received_us", BigInteger, nullable=False, index=True),
    Column("summary_stream", String(127)),
    Column("summary_first", BigInteger),
    Column("summary_last", BigInteger),
    Column("hours", LargeBinary, comment="packed counts by hour of the whole range; NULL is not known"),
    UniqueConstraint("account_id", "first", "last", "reason"),
)

batches = Table(
    "batches",
    metadata,
    _id(),
    _account(),
    Column("first", BigInteger, nullable=False),
    Column("count", Integer, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("content_digest", LargeBinary, nullable=False, comment="of the opened body"),
    Column("take", LargeBinary, comment="packed ranges of what is stored from it; NULL is all"),
    Column("received_us", BigInteger, nullable=False),
    Column("lake_commit", _ID, ForeignKey("lake_commits.id")),
    Column("quarantined", Text, comment="why its records could not be decoded"),
    Column("raw", LargeBinary, comment="the sealed batch; NULL once it was forgotten"),
    Column("hours", LargeBinary, comment="packed counts by hour of what was taken; NULL is not known yet"),
    Column("damaged_us", BigInteger, comment="when its bytes were found damaged, and its records wanted again"),
    Index(None, "account_id", "first"),
    Index(None, "lake_commit"),
)

forks = Table(
    "forks",
    metadata,
    _id(),
    _account(),
    Column("first", BigInteger, nullable=False),
    Column("count", Integer, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("received_us", BigInteger, nullable=False, index=True),
    Column("raw", LargeBinary, nullable=False),
    UniqueConstraint("account_id", "digest"),
    comment="Batches whose range was stored already with other content; kept aside.",
)

claims = Table(
    "claims",
    metadata,
    _id(),
    _account(),
    Column("at_us", BigInteger, nullable=False, comment="the hub's clock"),
    Column("stated_by", LargeBinary, comment="the incarnation that said it; NULL for the hub"),
    Column("number", BigInteger, nullable=False, comment="of the statement"),
    Column("head", BigInteger, nullable=False),
    Column("held", LargeBinary, nullable=False, comment="packed ranges"),
    Column("oldest_us", BigInteger),
    Column("closed", Boolean, nullable=False),
    Column("hours", LargeBinary, comment="packed counts by hour, of the hours that it told; NULL for none"),
    Index(None, "account_id", "id"),
    comment="What sites said of their streams, whenever it was something new.",
)

silences = Table(
    "silences",
    metadata,
    Column("site_id", _ID, ForeignKey("sites.id"), primary_key=True, autoincrement=False),
    Column("since_us", BigInteger, primary_key=True, autoincrement=False),
    Column("until_us", BigInteger, nullable=False),
    comment="From when to when nothing was heard of a site, if it was long.",
)

account_days = Table(
    "account_days",
    metadata,
    Column("account_id", _ID, ForeignKey("accounts.id"), primary_key=True, autoincrement=False),
    Column("day", Integer, primary_key=True, autoincrement=False, comment="days since 1970, UTC"),
    Column("counts", LargeBinary, nullable=False, comment="packed: produced, stored, shed and gap, 24 hours each"),
    comment="The records of an account by the hour of their event time.",
    sqlite_with_rowid=False,
)

site_days = Table(
    "site_days",
    metadata,
    Column("day", Integer, primary_key=True, autoincrement=False, comment="days since 1970, UTC"),
    Column("site_id", _ID, ForeignKey("sites.id"), primary_key=True, autoincrement=False),
    Column("states", LargeBinary, nullable=False, comment="24 bytes: the worst of its streams in each hour"),
    Column("produced", BigInteger, nullable=False),
    Column("stored", BigInteger, nullable=False),
    Column("counts", LargeBinary, nullable=False, comment="packed: produced, stored, shed and gap, 24 hours each"),
    comment="The same for all streams of a site together: what the overview of the fleet reads.",
    sqlite_with_rowid=False,
)

row_digests = Table(
    "row_digests",
    metadata,
    Column("batch_id", _ID, ForeignKey("batches.id"), primary_key=True, autoincrement=False),
    Column("digest", LargeBinary, nullable=False),
    comment="What the rows of a batch in the lake add up to. Not in batches: their bytes would be read too.",
)

damages = Table(
    "damages",
    metadata,
    _id(),
    _site(),
    _account(),
    Column("first", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    Column("cause", String(16), nullable=False, comment="batch, lake or ledger: what was found damaged"),
    Column("size", BigInteger, nullable=False, comment="sealed bytes that were damaged, as far as known"),
    Column("found_us", BigInteger, nullable=False),
    Column("settled_us", BigInteger, comment="when everything of it was stored again, or given up"),
    Column("outcome", String(12), comment="healed or lost"),
    Index(None, "site_id", "settled_us"),
    Index(None, "account_id"),
    comment="What was found damaged at the hub and is wanted again from its site.",
)

lake_commits = Table(
    "lake_commits",
    metadata,
    _id(),
    Column("stream", String(127), nullable=False),
    Column("state", String(12), nullable=False, comment="pending, done or forgotten"),
    Column("created_us", BigInteger, nullable=False),
    Index(None, "state"),
)

merged_tables = Table(
    "merged_tables",
    metadata,
    _id(),
    Column("name", String(63), nullable=False, unique=True),
    Column("layout", LargeBinary, nullable=False, comment="packed: columns by place, names and types"),
    Column("created_us", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False, server_default="0", comment="the last number of a changed row"),
    Column("rules", Text, nullable=False, server_default="", comment="JSON: the policies that were followed up to now"),
    Column("horizon", BigInteger, nullable=False, server_default="-1", comment="no change up to this stamp is merged"),
    _counted("floor", "tombstones up to this version may be gone"),
    comment="Tables of sites that are merged: the rows in merged_ID, shown by the view table_NAME.",
)

table_epochs = Table(
    "table_epochs",
    metadata,
    _id(),
    Column("table_id", _ID, ForeignKey("merged_tables.id"), nullable=False),
    Column("epoch", LargeBinary, nullable=False, comment="random"),
    Column("since", BigInteger, nullable=False, comment="the table's version when it began"),
    Index(None, "table_id", "id"),
    comment="Starts of the hub, as sites' cursors name them; what a backup does not have is not known after it.",
)

table_readers = Table(
    "table_readers",
    metadata,
    Column("table_id", _ID, ForeignKey("merged_tables.id"), primary_key=True, autoincrement=False),
    Column("site_id", _ID, ForeignKey("sites.id"), primary_key=True, autoincrement=False),
    Column("merged", BigInteger, nullable=False, comment="the site's changes are merged up to this number"),
    _counted("asked_us", "the hub's clock when it last told how far it is; 0: it does not follow the table"),
    _counted("asked_version", "up to here the site's copy had everything when it told"),
    _counted("asked_number", "of the last change that it had captured then"),
    _counted("asked_hlc", "what it captures later is later"),
    _counted("safe_version", "as asked_version, and all that it had captured before is merged"),
    _counted("safe_hlc", "as asked_hlc, likewise"),
    Column("is_out", Boolean, nullable=False, server_default=false(), comment="counted out"),
    comment="How far sites' changes of a table are merged; what they are told with its rows.",
)

table_departures = Table(
    "table_departures",
    metadata,
    _id(),
    Column("table_id", _ID, ForeignKey("merged_tables.id"), nullable=False),
    Column("version", BigInteger, nullable=False, comment="that the row got when it went"),
    Column("scope", Text, nullable=False, comment="what the filter's columns held; exact JSON"),
    Column("row_key", Text, nullable=False, comment="exact JSON"),
    Index(None, "table_id", "scope", "version"),
    comment="Rows that left a scope: sites that have rows of that scope are told.",
)

merged_batches = Table(
    "merged_batches",
    metadata,
    Column("batch_id", _ID, ForeignKey("batches.id"), primary_key=True, autoincrement=False),
    Column("table_id", _ID, ForeignKey("merged_tables.id"), nullable=False),
    comment="Batches of changes that are merged.",
)

table_edits = Table(
    "table_edits",
    metadata,
    _id(),
    Column("table_id", _ID, ForeignKey("merged_tables.id"), nullable=False),
    Column("change", Text, nullable=False, comment="as a site would say it; exact JSON"),
    Column("at", BigInteger, nullable=False, comment="its stamp"),
    Column("made_us", BigInteger, nullable=False),
    Column("made_by", String(63), nullable=False),
    Column("reason", Text, nullable=False),
    Index(None, "table_id", "id"),
    comment="What people changed in merged tables at the hub.",
)

table_conflicts = Table(
    "table_conflicts",
    metadata,
    _id(),
    Column("table_id", _ID, ForeignKey("merged_tables.id"), nullable=False),
    Column("mark", LargeBinary, nullable=False, unique=True, comment="of the value that has lost"),
    Column("row_key", Text, nullable=False, comment="a JSON list"),
    Column("column", Text, nullable=False),
    Column("policy", String(16), nullable=False, comment="what has decided; deleted: the row was"),
    Column("kept_value", Text, comment="JSON"),
    Column("kept_at", BigInteger, nullable=False),
    Column("kept_site_id", _ID, ForeignKey("sites.id"), comment="null: the hub"),
    Column("lost_value", Text, comment="JSON"),
    Column("lost_at", BigInteger, nullable=False),
    Column("lost_site_id", _ID, ForeignKey("sites.id"), comment="null: the hub"),
    Column("found_us", BigInteger, nullable=False),
    Column("state", String(16), nullable=False, comment="lost, open, resolved or undone"),
    Column("edit_id", _ID, ForeignKey("table_edits.id"), comment="the edit that has settled it"),
    Index(None, "table_id", "id"),
    comment="Every value that has lost against one of another site, or of the hub.",
)

merge_misfits = Table(
    "merge_misfits",
    metadata,
    Column("batch_id", _ID, ForeignKey("batches.id"), primary_key=True, autoincrement=False),
    Column("place", Integer, primary_key=True, autoincrement=False, comment="among the changes of the batch, from 0"),
    Column("table_id", _ID, ForeignKey("merged_tables.id"), nullable=False),
    Column("why", Text, nullable=False),
    Column("change", Text, nullable=False, comment="JSON"),
    Column("found_us", BigInteger, nullable=False),
    Column("state", String(16), nullable=False, server_default="waiting", comment="waiting or merged"),
    Column("tried", BigInteger, nullable=False, server_default="0", comment="with how many declarations of the table"),
    Column("settled_us", BigInteger, comment="when it was merged after all"),
    Index(None, "table_id"),
    Index(None, "table_id", "state", "tried"),
    comment="Changes that a merged table cannot take in.",
)

lake_columns = Table(
    "lake_columns",
    metadata,
    Column("stream", String(127), primary_key=True),
    Column("field", Text, primary_key=True),
    Column("type", String(16), primary_key=True),
    Column("column", Text, nullable=False),
    comment="Which column of a stream's table holds which field, by type.",
)

alerts = Table(
    "alerts",
    metadata,
    _id(),
    Column("kind", String(16), nullable=False),
    Column("site", String(63), nullable=False, comment="empty: of the hub itself"),
    Column("stream", String(127), nullable=False, comment="empty: of the whole site"),
    Column("facet", String(127), nullable=False, comment="which of several: a reason, an objective, a folder"),
    Column("severity", String(16), nullable=False),
    Column("phase", String(16), nullable=False, comment="rising, raised, falling, or quiet once it is over"),
    Column("since_us", BigInteger, nullable=False, comment="since when it is in this phase"),
    Column("mark", String(255), nullable=False, comment="what was bad"),
    Column("value", Double, nullable=False, comment="as it was when it was raised"),
    Column("text", Text, nullable=False),
    Column("raised_us", BigInteger),
    Column("told_us", BigInteger, comment="when it was handed to the channels; NULL while it is kept quiet"),
    Column("acknowledged_us", BigInteger),
    Column("acknowledged_by", String(63)),
    Column("cleared_us", BigInteger),
    Index(None, "cleared_us"),
    comment="Every alert that was raised, and what is about to be.",
)

alert_events = Table(
    "alert_events",
    metadata,
    _id(),
    Column("alert_id", _ID, ForeignKey("alerts.id"), nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("change", String(16), nullable=False, comment="raised, acknowledged or cleared"),
    Column("said_by", String(63), nullable=False, comment="a person; empty: the hub"),
    Column("text", Text, nullable=False),
    Index(None, "alert_id"),
    comment="What became of each alert, and when.",
)

messages = Table(
    "messages",
    metadata,
    _id(),
    Column("channel", String(127), nullable=False),
    Column("key", String(40), nullable=False, unique=True, comment="the same at every attempt"),
    Column("body", Text, nullable=False),
    Column("made_us", BigInteger, nullable=False),
    Column("next_us", BigInteger, nullable=False, comment="when it is tried (again)"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("ended_us", BigInteger),
    Column("delivered", Boolean),
    Column("fault", Text, nullable=False, server_default="", comment="why the last attempt failed"),
    Index(None, "ended_us", "channel"),
    comment="The outbox of alerts: what webhooks and the broker are told, until they have it.",
)

alert_silences = Table(
    "alert_silences",
    metadata,
    _id(),
    Column("kind", String(16), nullable=False, comment="empty: every kind"),
    Column("sites", String(127), nullable=False, comment="a pattern"),
    Column("streams", String(127), nullable=False, comment="a pattern"),
    Column("from_us", BigInteger, nullable=False),
    Column("until_us", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("made_by", String(63), nullable=False),
    comment="Alerts that stand and are not told.",
)

maintenances = Table(
    "maintenances",
    metadata,
    _id(),
    Column("sites", String(127), nullable=False, comment="a pattern"),
    Column("from_us", BigInteger, nullable=False),
    Column("until_us", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("made_by", String(63), nullable=False),
    comment="When sites are worked on, as it was declared.",
)

objective_hours = Table(
    "objective_hours",
    metadata,
    Column("objective", String(63), primary_key=True),
    Column("hour", Integer, primary_key=True, autoincrement=False, comment="of event time, from 1970, UTC"),
    Column("due", BigInteger, nullable=False, comment="records that had to be stored in time"),
    Column("late", BigInteger, nullable=False, comment="of them: those that were not"),
    Column("excused", BigInteger, nullable=False, comment="records of declared maintenance; they count for nothing"),
    Column("worst", Text, nullable=False, comment="the sites with most that was late, as JSON"),
    comment="What each objective made of each hour of event time, once that was due.",
)

objective_open = Table(
    "objective_open",
    metadata,
    Column("objective", String(63), primary_key=True),
    Column("site", String(63), primary_key=True),
    Column("hour", Integer, primary_key=True, autoincrement=False, comment="of event time, from 1970, UTC"),
    Column("stored", BigInteger, nullable=False, comment="records that were stored in time"),
    comment="Hours that were due while nobody knew what the site had produced in them.",
)

source_shares = Table(
    "source_shares",
    metadata,
    Column("objective", String(63), primary_key=True),
    Column("site", String(63), primary_key=True),
    Column("stream", String(127), primary_key=True),
    Column("expected", Double, nullable=False),
    Column("produced", Double, nullable=False),
    comment="How much of what is expected each source delivered by itself; older hours count less and less.",
)

site_reports = Table(
    "site_reports",
    metadata,
    Column("site_id", _ID, ForeignKey("sites.id"), primary_key=True, autoincrement=False),
    Column("number", BigInteger, nullable=False),
    Column("at_us", BigInteger, nullable=False, comment="the site's clock"),
    Column("received_us", BigInteger, nullable=False, comment="the hub's clock"),
    Column("agent_version", String(500), nullable=False),
    Column("running", BigInteger, comment="number of the order whose settings are in force; 0: the site's own file"),
    Column("latest", BigInteger, comment="number of the newest settings that came to the site"),
    Column("outcome", String(16), comment="what became of those"),
    Column("problems", Text, nullable=False, comment="why, as a JSON list"),
    Column("command", BigInteger, comment="number of the newest command that came to the site"),
    Column("schema", LargeBinary, nullable=False, comment="which schema its settings have: a digest"),
    Column("introduced", LargeBinary, comment="the digest of the schema that it introduced itself with"),
    Column("settings_schema", LargeBinary, comment="that schema: JSON Schema, compressed with zstandard"),
    Column("sealing_key", LargeBinary, comment="what its orders are sealed to, packed; NULL: not introduced"),
    Column("accepts", Text, nullable=False, server_default="[]", comment="what it lets the hub change, as a JSON list"),
    comment="The newest report of each site on its orders.",
)

_UNSETTLED: Final = text("state <> 'settled'")
_OPEN: Final = text("state = 'open'")
_WAITING: Final = text("state = 'waiting'")
_UNPUBLISHED: Final = text("state = 'open' AND published_us IS NULL")

orders = Table(
    "orders",
    metadata,
    _id(),
    _site(),
    Column("kind", String(8), nullable=False, comment="settings or command"),
    Column("state", String(8), nullable=False, comment="waiting for its turn, open, probing or settled"),
    Column("number", BigInteger, comment="given when it is its turn"),
    Column("made_us", BigInteger, nullable=False),
    Column("made_by", String(63), nullable=False),
    Column("expires_us", BigInteger),
    Column("raw", LargeBinary, comment="sealed to the site; NULL while it waits and when it is settled"),
    Column("sealed_to", LargeBinary, comment="name of the site's key"),
    Column("published_us", BigInteger, comment="when the broker took it"),
    Column("revision", Integer, comment="of settings: what they were rendered from"),
    Column("rollout_id", _ID, comment="of settings: what they are part of"),
    Column("document", LargeBinary, comment="of settings: digest of what they say"),
    Column("command", String(64)),
    Column("arguments", Text, comment="of a command, as a JSON object"),
    Column("settled_us", BigInteger),
    Column("outcome", String(16), comment="kept, refused, rolled-back, replaced; done, failed, expired, lost"),
    Column("text", Text, nullable=False, server_default="", comment="what the site said of it"),
    Column("data", LargeBinary, comment="what a command asked for"),
    Index("ix_orders_unsettled", "site_id", sqlite_where=_UNSETTLED, postgresql_where=_UNSETTLED),
    Index("uq_orders_open", "site_id", "kind", unique=True, sqlite_where=_OPEN, postgresql_where=_OPEN),
    Index("ix_orders_unpublished", "id", sqlite_where=_UNPUBLISHED, postgresql_where=_UNPUBLISHED),
    Index(None, "site_id", "kind", "id"),
    Index(None, "rollout_id"),
    comment="What sites were told to do, and what became of it.",
)

config_revisions = Table(
    "config_revisions",
    metadata,
    _id(),
    Column("made_us", BigInteger, nullable=False),
    Column("made_by", String(63), nullable=False),
    Column("note", Text, nullable=False),
    Column("files", Text, nullable=False, comment="the layers: a JSON object of path to text"),
    comment="Every state that the fleet's configuration was given.",
)

config_secrets = Table(
    "config_secrets",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("version", Integer, nullable=False, comment="counts how often it was set"),
    Column("sealed", LargeBinary, nullable=False, comment="to the hub's own key"),
    Column("sealed_to", LargeBinary, nullable=False, comment="name of that key"),
    Column("set_us", BigInteger, nullable=False),
    Column("set_by", String(63), nullable=False),
    comment="Values that settings name and never show.",
)

rollouts = Table(
    "rollouts",
    metadata,
    _id(),
    Column("revision", _ID, ForeignKey("config_revisions.id"), nullable=False),
    Column("state", String(8), nullable=False, comment="running, paused, halted, aborted or done"),
    Column("strategy", Text, nullable=False, comment="stages, soak and what halts it, as JSON"),
    Column("stage", Integer, nullable=False, comment="from 0"),
    Column("stage_us", BigInteger, nullable=False, comment="when this stage began"),
    Column("made_us", BigInteger, nullable=False),
    Column("made_by", String(63), nullable=False),
    Column("ended_us", BigInteger),
    Column("why", Text, nullable=False, comment="what it waits for, or why it has stopped"),
    Index(None, "state"),
    comment="How revisions come to the sites, stage by stage.",
)

rollout_sites = Table(
    "rollout_sites",
    metadata,
    Column("rollout_id", _ID, ForeignKey("rollouts.id"), primary_key=True, autoincrement=False),
    Column("site_id", _ID, ForeignKey("sites.id"), primary_key=True, autoincrement=False),
    Column("stage", Integer, nullable=False, comment="in which it takes part"),
    Column("state", String(8), nullable=False, comment="waiting, ordered, same or invalid"),
    Column("problems", Text, nullable=False, comment="why its settings cannot be rendered, as a JSON list"),
    Column("gaps", BigInteger, nullable=False, comment="records that were missing when it was ordered"),
    Index(None, "site_id"),
    Index("ix_rollout_sites_waiting", "rollout_id", sqlite_where=_WAITING, postgresql_where=_WAITING),
    comment="Which sites take part in a rollout, and when.",
)

order_events = Table(
    "order_events",
    metadata,
    _id(),
    Column("at_us", BigInteger, nullable=False),
    Column("said_by", String(63), nullable=False, comment="a person; empty: the hub"),
    Column("subject", String(127), nullable=False, comment="as in 'rollout 3', 'site ship-1', 'secret MQTT'"),
    Column("deed", String(32), nullable=False),
    Column("text", Text, nullable=False),
    Index(None, "subject"),
    comment="Who did what with the fleet's configuration, rollouts, commands, labels and secrets.",
)
