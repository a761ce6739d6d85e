-- Records by the hour of their event time; see farshore_protocol.hours. Packed counts are MessagePack [hour, count, …].

-- How many records of a stream got a sequence, by the hour, and how many of them the hub was told of.
CREATE TABLE hours (
    stream INTEGER NOT NULL REFERENCES streams (id),
    hour INTEGER NOT NULL,
    count INTEGER NOT NULL,
    told INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (stream, hour)
) STRICT, WITHOUT ROWID;
CREATE INDEX untold ON hours (stream, hour) WHERE told <> count;
CREATE TRIGGER forget_hours AFTER DELETE ON streams BEGIN DELETE FROM hours WHERE stream = old.id; END;

-- The hours of what spans more than one. Of everything else the oldest and the newest time tell it.
CREATE TABLE chunk_hours (
    chunk INTEGER PRIMARY KEY,
    hours BLOB NOT NULL
) STRICT;
CREATE TRIGGER forget_chunk_hours AFTER DELETE ON chunks BEGIN DELETE FROM chunk_hours WHERE chunk = old.id; END;

CREATE TABLE batch_hours (
    batch INTEGER PRIMARY KEY,
    hours BLOB NOT NULL
) STRICT;
CREATE TRIGGER forget_batch_hours AFTER DELETE ON batches BEGIN DELETE FROM batch_hours WHERE batch = old.id; END;

-- The hours of receipts, where they are known.
CREATE TABLE receipt_hours (
    receipt INTEGER PRIMARY KEY,
    hours BLOB NOT NULL
) STRICT;
CREATE TRIGGER forget_receipt_hours AFTER DELETE ON receipts BEGIN DELETE FROM receipt_hours WHERE receipt = old.id; END;
