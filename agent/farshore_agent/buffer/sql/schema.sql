-- The buffer's file. Times are microseconds since 1970, UTC. Ranges are MessagePack arrays [first, last, first, last, …].

-- One start of an agent. The newest one is the life that gives out sequences.
CREATE TABLE lives (
    id INTEGER PRIMARY KEY,
    incarnation BLOB NOT NULL UNIQUE,
    started_us INTEGER NOT NULL,
    stated INTEGER NOT NULL DEFAULT 0,      -- the number of its last statement
    answered INTEGER NOT NULL DEFAULT 0     -- the number of its newest statement whose answer was applied
) STRICT;

-- A stream in one life: its own sequences, from 1.
CREATE TABLE streams (
    id INTEGER PRIMARY KEY,
    life INTEGER NOT NULL REFERENCES lives (id),
    name TEXT NOT NULL,
    priority INTEGER NOT NULL,
    head INTEGER NOT NULL DEFAULT 0,        -- the last sequence given out
    acknowledged BLOB NOT NULL,             -- ranges that the hub has, as its newest answer says
    archived INTEGER NOT NULL DEFAULT 0,    -- up to here, every backup of the hub has them
    given_up BLOB NOT NULL,                 -- ranges that a receipt was written for
    tail_records INTEGER NOT NULL DEFAULT 0,
    tail_bytes INTEGER NOT NULL DEFAULT 0,
    closing_number INTEGER,                 -- the statement that first said that the stream is closed
    closed INTEGER NOT NULL DEFAULT 0,      -- the hub knows that this life gives out no more sequences
    newest_first INTEGER NOT NULL DEFAULT 0,
    UNIQUE (life, name)
) STRICT;
CREATE INDEX unsealed ON streams (id) WHERE tail_records > 0;

-- The tail: what one commit added to one stream.
CREATE TABLE chunks (
    id INTEGER PRIMARY KEY,
    stream INTEGER NOT NULL REFERENCES streams (id),
    first INTEGER NOT NULL,
    count INTEGER NOT NULL,
    size INTEGER NOT NULL,
    plain_size INTEGER NOT NULL,            -- before compression
    checksum INTEGER NOT NULL,              -- over the body and what is said of it
    oldest_us INTEGER NOT NULL,             -- event times
    newest_us INTEGER NOT NULL,
    appended_us INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX tail ON chunks (stream, first);

-- Sealed batches. Bodies are apart, so that a change of state does not write them again.
CREATE TABLE batches (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    stream INTEGER NOT NULL REFERENCES streams (id),
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    size INTEGER NOT NULL,
    digest BLOB NOT NULL,
    epoch BLOB NOT NULL,
    dictionary BLOB,
    priority INTEGER NOT NULL,
    sending_order INTEGER NOT NULL,         -- within the priority: the id, negative where the newest goes first
    state INTEGER NOT NULL DEFAULT 0,       -- 0 waiting, 1 held back, 2 acknowledged
    oldest_us INTEGER NOT NULL,
    newest_us INTEGER NOT NULL,
    appended_us INTEGER NOT NULL,           -- when the first of its records was appended
    sealed_us INTEGER NOT NULL,
    acknowledged_us INTEGER,
    refusal TEXT,                           -- why the hub did not take it
    sent INTEGER NOT NULL DEFAULT 0         -- 1: it was put into a parcel
) STRICT;
CREATE UNIQUE INDEX batch_ranges ON batches (stream, last);
CREATE INDEX outbox ON batches (priority DESC, sending_order) WHERE state = 0;
CREATE INDEX held_back ON batches (id) WHERE state = 1;
CREATE INDEX pending ON batches (stream, oldest_us, size, state) WHERE state < 2;
CREATE INDEX unacknowledged ON batches (stream, last) WHERE state < 2;
CREATE INDEX by_digest ON batches (digest);
CREATE INDEX by_epoch ON batches (epoch);
CREATE INDEX retained ON batches (acknowledged_us, id) WHERE state = 2;

CREATE TABLE bodies (
    batch INTEGER PRIMARY KEY REFERENCES batches (id),
    raw BLOB NOT NULL,
    summary BLOB                            -- what stays when the batch is thinned
) STRICT;

-- Promises to the hub about what it will not get.
CREATE TABLE receipts (
    id INTEGER PRIMARY KEY,
    stream INTEGER NOT NULL REFERENCES streams (id),
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    reason TEXT NOT NULL,
    at_us INTEGER NOT NULL,
    detail TEXT NOT NULL DEFAULT '',
    summary_stream TEXT,                    -- the records that stand for the detail
    summary_first INTEGER,
    summary_last INTEGER,
    state INTEGER NOT NULL DEFAULT 0,       -- 0 new, 1 stated, 2 the hub has it
    done_us INTEGER
) STRICT;
CREATE INDEX receipt_ranges ON receipts (stream, first);
CREATE INDEX receipts_open ON receipts (id) WHERE state < 2;

CREATE TABLE epochs (
    epoch BLOB PRIMARY KEY,
    message BLOB NOT NULL,
    checksum INTEGER NOT NULL,              -- over both
    confirmed INTEGER NOT NULL DEFAULT 0    -- the hub holds it
) STRICT, WITHOUT ROWID;

-- The same again, in another place: everything that is sealed under a key is lost with it.
CREATE TABLE epoch_copies (
    epoch BLOB PRIMARY KEY,
    message BLOB NOT NULL,
    checksum INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Chunks whose records cannot be sealed: kept for whoever wants to look, their range has a receipt.
CREATE TABLE set_aside (
    id INTEGER PRIMARY KEY,
    incarnation BLOB NOT NULL,
    stream TEXT NOT NULL,
    first INTEGER NOT NULL,
    count INTEGER NOT NULL,
    at_us INTEGER NOT NULL,
    why TEXT NOT NULL,
    body BLOB NOT NULL
) STRICT;

CREATE TABLE dictionaries (
    dictionary BLOB PRIMARY KEY,
    epoch BLOB NOT NULL,
    digest BLOB NOT NULL,
    raw BLOB NOT NULL,
    confirmed INTEGER NOT NULL DEFAULT 0
) STRICT;

-- How far each input has read.
CREATE TABLE checkpoints (
    key TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- What else has to be remembered: the hub's life, repairs of this file.
CREATE TABLE notes (
    key TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;
