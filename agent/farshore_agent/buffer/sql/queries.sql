-- What the buffer asks of its file. Each statement has a name and says what it is for.

-- ------------------------------------------------------------ lives

-- add_life: a new start of the agent
INSERT INTO lives (incarnation, started_us) VALUES (?1, ?2);

-- all_lives: every life's incarnation
SELECT id, incarnation FROM lives;

-- newest_life: the life that gives out sequences
SELECT id, incarnation, stated FROM lives ORDER BY id DESC LIMIT 1;

-- life_of: a life by its incarnation, and the newest life that has an applied answer
SELECT id, stated, answered, (SELECT max(id) FROM lives WHERE answered > 0) FROM lives WHERE incarnation = ?1;

-- take_number: the next statement number of a life
UPDATE lives SET stated = stated + 1 WHERE id = ?1 RETURNING stated;

-- note_answer: the newest statement of a life whose answer was applied
UPDATE lives SET answered = ?2 WHERE id = ?1;

-- drop_empty_lives: earlier lives of which nothing is left; the last one that was answered tells late answers apart
DELETE FROM lives
WHERE id < (SELECT max(id) FROM lives)
    AND id <> coalesce((SELECT max(id) FROM lives WHERE answered > 0), 0)
    AND NOT EXISTS (SELECT 1 FROM streams WHERE streams.life = lives.id);

-- ---------------------------------------------------------- streams

-- add_stream: the first record of a stream in a life
INSERT INTO streams (life, name, priority, newest_first, acknowledged, given_up) VALUES (?1, ?2, ?3, ?4, ?5, ?5);

-- stream_head: where the next append to a stream goes
SELECT id, head FROM streams WHERE life = ?1 AND name = ?2;

-- advance_stream: give out sequences up to a new head, for records that join the tail
UPDATE streams SET head = ?2, tail_records = tail_records + ?3, tail_bytes = tail_bytes + ?4 WHERE id = ?1;

-- shorten_tail: records that left the tail
UPDATE streams SET tail_records = tail_records - ?2, tail_bytes = tail_bytes - ?3 WHERE id = ?1;

-- all_streams: every stream of every life, oldest life first
SELECT s.id, s.life, l.incarnation, s.name, s.priority, s.head, s.acknowledged, s.archived, s.given_up,
    s.tail_records, s.tail_bytes, s.closing_number, s.closed, s.newest_first
FROM streams s JOIN lives l ON l.id = s.life ORDER BY s.life, s.name;

-- stream_by_id: one stream
SELECT s.id, s.life, l.incarnation, s.name, s.priority, s.head, s.acknowledged, s.archived, s.given_up,
    s.tail_records, s.tail_bytes, s.closing_number, s.closed, s.newest_first
FROM streams s JOIN lives l ON l.id = s.life WHERE s.id = ?1;

-- stream_by_name: one stream of one life
SELECT s.id, s.life, l.incarnation, s.name, s.priority, s.head, s.acknowledged, s.archived, s.given_up,
    s.tail_records, s.tail_bytes, s.closing_number, s.closed, s.newest_first
FROM lives l JOIN streams s ON s.life = l.id WHERE l.incarnation = ?1 AND s.name = ?2;

-- set_account: what the hub says that it has of a stream
UPDATE streams SET acknowledged = ?2, archived = ?3 WHERE id = ?1;

-- set_given_up: the ranges that a receipt was written for
UPDATE streams SET given_up = ?2 WHERE id = ?1;

-- set_priority: the settings have another priority or order than the last life's
UPDATE streams SET priority = ?2, newest_first = ?3 WHERE id = ?1;

-- mark_closing: the statement that first says that a stream is closed
UPDATE streams SET closing_number = ?2 WHERE id = ?1;

-- reset_closing: what an earlier life said may not have arrived
UPDATE streams SET closing_number = NULL WHERE closed = 0 AND closing_number IS NOT NULL;

-- mark_closed: the hub has read that a stream is closed
UPDATE streams SET closed = 1 WHERE id = ?1;

-- reopen_closing: another life of the hub may have been restored from a backup, and never have heard of them
UPDATE streams SET closed = 0, closing_number = NULL WHERE closed = 1;

-- finished_streams: of earlier lives, of which nothing is left but their row, and the hub knows
SELECT id FROM streams
WHERE closed = 1 AND tail_records = 0
    AND NOT EXISTS (SELECT 1 FROM batches WHERE batches.stream = streams.id)
    AND NOT EXISTS (SELECT 1 FROM receipts WHERE receipts.stream = streams.id);

-- drop_finished_streams: the same, all but the newest ?1 of them
DELETE FROM streams WHERE id IN (
    SELECT id FROM streams
    WHERE closed = 1 AND tail_records = 0
        AND NOT EXISTS (SELECT 1 FROM batches WHERE batches.stream = streams.id)
        AND NOT EXISTS (SELECT 1 FROM receipts WHERE receipts.stream = streams.id)
    ORDER BY id DESC LIMIT -1 OFFSET ?1
);

-- ------------------------------------------------------------- tail

-- add_chunk: what one commit adds to one stream
INSERT INTO chunks (stream, first, count, size, plain_size, checksum, oldest_us, newest_us, appended_us, body)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10);

-- tails: streams with something that is not sealed, and since when
SELECT s.id, s.name, s.tail_records, s.tail_bytes,
    (SELECT appended_us FROM chunks WHERE stream = s.id ORDER BY first LIMIT 1), s.priority, s.life
FROM streams s INDEXED BY unsealed WHERE s.tail_records > 0;

-- tail_chunks: the chunks of a stream in order, with their bodies
SELECT id, first, count, size, plain_size, checksum, oldest_us, newest_us, appended_us, body
FROM chunks WHERE stream = ?1 ORDER BY first;

-- chunk_ranges: what the tail of a stream holds
SELECT first, first + count - 1 FROM chunks WHERE stream = ?1 ORDER BY first;

-- oldest_chunks: the tail of a stream from its oldest end, for making room
SELECT id, first, first + count - 1, size, appended_us FROM chunks WHERE stream = ?1 ORDER BY first LIMIT ?2;

-- one_chunk: a chunk with its body
SELECT id, first, count, size, plain_size, checksum, oldest_us, newest_us, appended_us, body FROM chunks WHERE id = ?1;

-- drop_chunk: a chunk that was sealed or given up
DELETE FROM chunks WHERE id = ?1;

-- oldest_in_tail: the oldest event time of what is not sealed
SELECT min(oldest_us) FROM chunks WHERE stream = ?1;

-- recount_tail: the tail's totals, counted anew
UPDATE streams SET
    tail_records = (SELECT coalesce(sum(count), 0) FROM chunks WHERE stream = ?1),
    tail_bytes = (SELECT coalesce(sum(size), 0) FROM chunks WHERE stream = ?1)
WHERE id = ?1;

-- put_aside: a chunk that cannot be sealed
INSERT INTO set_aside (incarnation, stream, first, count, at_us, why, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7);

-- drop_put_aside: all but the newest
DELETE FROM set_aside WHERE id <= (SELECT max(id) FROM set_aside) - ?1;

-- all_put_aside: what was put aside, without the bytes
SELECT incarnation, stream, first, count, at_us, why FROM set_aside ORDER BY id;

-- ----------------------------------------------------------- outbox

-- add_batch: a batch that was just sealed
INSERT INTO batches (stream, first, last, size, digest, epoch, dictionary, priority, sending_order, state, oldest_us,
    newest_us, appended_us, sealed_us, acknowledged_us)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 0, ?9, ?10, ?11, ?12, ?13, ?14);

-- set_sending_order: where a batch stands within its priority
UPDATE batches SET sending_order = ?2 WHERE id = ?1;

-- set_batch_priority: the settings have another priority or order than the last life's; ?3 is 1, or -1 for newest first
UPDATE batches SET priority = ?2, sending_order = id * ?3
WHERE stream = ?1 AND (priority <> ?2 OR sending_order <> id * ?3);

-- add_body: the sealed bytes of a batch
INSERT INTO bodies (batch, raw, summary) VALUES (?1, ?2, ?3);

-- waiting: what is to be sent, in the order of sending; ?2: JSON list of the streams that are paused
SELECT b.id, l.incarnation, s.name, b.first, b.last - b.first + 1, b.size, b.digest, b.priority, b.oldest_us,
    b.newest_us, b.sealed_us, b.epoch, b.dictionary
FROM batches b INDEXED BY outbox JOIN streams s ON s.id = b.stream JOIN lives l ON l.id = s.life
WHERE b.state = 0 AND s.name NOT IN (SELECT value FROM json_each(?2))
ORDER BY b.priority DESC, b.sending_order LIMIT ?1;

-- waiting_ids: the least and the greatest id of what waits; ?1: JSON list of the streams that are paused
SELECT coalesce(min(id), 0), coalesce(max(id), 0) FROM batches INDEXED BY outbox WHERE state = 0
AND stream NOT IN (SELECT id FROM streams WHERE name IN (SELECT value FROM json_each(?1)));

-- load_batch: the bytes of a batch and what they have to be
SELECT b.stream, b.first, b.last, b.digest, b.epoch, b.dictionary, o.raw
FROM batches b LEFT JOIN bodies o ON o.batch = b.id WHERE b.id = ?1;

-- set_keys: what it takes to open a batch, as its bytes say
UPDATE batches SET epoch = ?2, dictionary = ?3 WHERE id = ?1 AND (epoch <> ?2 OR dictionary IS NOT ?3);

-- keyless_batches: unacknowledged batches that name a key or a dictionary that is not here
SELECT id FROM batches WHERE state < 2 AND (
    epoch NOT IN (SELECT epoch FROM epochs) OR dictionary NOT IN (SELECT dictionary FROM dictionaries));

-- chunks_over: the chunks of a stream that touch a range
SELECT first, first + count - 1 FROM chunks WHERE stream = ?1 AND first <= ?3 AND first + count > ?2 ORDER BY first;

-- batch_place: whose batch it is, and its first record
SELECT stream, first FROM batches WHERE id = ?1;

-- batches_over: the batches of a stream that touch a range
SELECT id, first, last, state, digest FROM batches
WHERE stream = ?1 AND last >= ?2 AND last <= coalesce(
    (SELECT last FROM batches WHERE stream = ?1 AND last >= ?3 ORDER BY last LIMIT 1), ?3)
ORDER BY last;

-- batch_ranges_of: what the batches of a stream hold
SELECT first, last FROM batches WHERE stream = ?1 ORDER BY last;

-- batch_by_digest: the batch that the hub speaks of
SELECT b.id, b.epoch, s.life FROM batches b JOIN streams s ON s.id = b.stream WHERE b.digest = ?1;

-- acknowledge_batch: the hub has it
UPDATE batches SET state = 2, acknowledged_us = ?2, refusal = NULL WHERE id = ?1;

-- return_batch: the hub no longer has it
UPDATE batches SET state = 0, acknowledged_us = NULL WHERE id = ?1;

-- hold_back: the hub did not take it, and would not take it again so soon
UPDATE batches SET state = 1, refusal = ?2 WHERE id = ?1 AND state = 0;

-- hold_back_dictionary: the hub did not take a dictionary, so that what needs it waits
UPDATE batches SET state = 1, refusal = ?2 WHERE dictionary = ?1 AND state = 0;

-- release_held_back: try them again
UPDATE batches SET state = 0 WHERE id IN (SELECT id FROM batches INDEXED BY held_back WHERE state = 1);

-- archived_batches: acknowledged, and in every backup of the hub
SELECT id FROM batches WHERE stream = ?1 AND last <= ?2 AND state = 2 ORDER BY last LIMIT ?3;

-- retained_before: acknowledged before a time, oldest first
SELECT id, size FROM batches INDEXED BY retained WHERE state = 2 AND acknowledged_us < ?1
ORDER BY acknowledged_us, id LIMIT ?2;

-- oldest_batches: what a stream could give up, from its oldest end
SELECT id, first, last, size, appended_us FROM batches INDEXED BY unacknowledged
WHERE stream = ?1 AND state < 2 ORDER BY last LIMIT ?2;

-- summary_of: what stays of a batch when it is thinned
SELECT summary FROM bodies WHERE batch = ?1;

-- drop_body: the bytes of a batch
DELETE FROM bodies WHERE batch = ?1;

-- drop_batch: a batch, after its bytes
DELETE FROM batches WHERE id = ?1;

-- oldest_pending: the oldest event time of a stream's unacknowledged batches
SELECT oldest_us FROM batches INDEXED BY pending WHERE stream = ?1 AND state < 2 ORDER BY oldest_us LIMIT 1;

-- ------------------------------------------------------------- keys

-- add_epoch: the epoch that batches are sealed under from now on
INSERT INTO epochs (epoch, message, checksum) VALUES (?1, ?2, ?3)
ON CONFLICT (epoch) DO UPDATE SET message = excluded.message, checksum = excluded.checksum;

-- add_epoch_copy: the same in another place
INSERT INTO epoch_copies (epoch, message, checksum) VALUES (?1, ?2, ?3)
ON CONFLICT (epoch) DO UPDATE SET message = excluded.message, checksum = excluded.checksum;

-- epoch: an epoch, and whether the hub holds it
SELECT message, checksum, confirmed FROM epochs WHERE epoch = ?1;

-- epoch_copy: its copy
SELECT message, checksum FROM epoch_copies WHERE epoch = ?1;

-- all_epochs: every epoch with its copy, for checking
SELECT e.epoch, e.message, e.checksum, c.message, c.checksum FROM epochs e LEFT JOIN epoch_copies c USING (epoch);

-- batches_under: unacknowledged batches that only this epoch opens, and those whose dictionary only it opens
SELECT id, stream FROM batches WHERE state < 2 AND (
    epoch = ?1 OR dictionary IN (SELECT dictionary FROM dictionaries WHERE epoch = ?1 AND confirmed = 0));

-- drop_dictionaries_under: dictionaries that nobody can open any more
DELETE FROM dictionaries WHERE epoch = ?1 AND confirmed = 0;

-- drop_epoch: a key that is lost
DELETE FROM epochs WHERE epoch = ?1;

-- drop_epoch_copy: its copy
DELETE FROM epoch_copies WHERE epoch = ?1;

-- add_dictionary: a sealed dictionary
INSERT INTO dictionaries (dictionary, epoch, digest, raw) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (dictionary) DO UPDATE SET epoch = excluded.epoch, digest = excluded.digest, raw = excluded.raw;

-- has_dictionary: whether it is there
SELECT 1 FROM dictionaries WHERE dictionary = ?1;

-- unconfirmed_dictionary: a dictionary that has to travel before its batches
SELECT epoch, digest, raw FROM dictionaries WHERE dictionary = ?1 AND confirmed = 0;

-- dictionary: whether it is here
SELECT 1 FROM dictionaries WHERE dictionary = ?1;

-- dictionary_by_digest: the dictionary that the hub speaks of
SELECT dictionary, epoch FROM dictionaries WHERE digest = ?1;

-- batches_needing: unacknowledged batches that cannot be read without a dictionary
SELECT id, stream FROM batches WHERE dictionary = ?1 AND state < 2;

-- drop_dictionary: one that is damaged
DELETE FROM dictionaries WHERE dictionary = ?1;

-- confirm_epoch: the hub holds it
UPDATE epochs SET confirmed = ?2 WHERE epoch = ?1 AND confirmed <> ?2;

-- confirm_dictionary: the hub holds it
UPDATE dictionaries SET confirmed = ?2 WHERE dictionary = ?1 AND confirmed <> ?2;

-- unconfirm_epochs: another hub holds none
UPDATE epochs SET confirmed = 0;

-- unconfirm_dictionaries: another hub holds none
UPDATE dictionaries SET confirmed = 0;

-- drop_unused_dictionaries: no batch needs them, and none will: ?1 holds the names of those in use, one after the other
DELETE FROM dictionaries
WHERE instr(?1, dictionary) = 0
    AND NOT EXISTS (SELECT 1 FROM batches WHERE batches.dictionary = dictionaries.dictionary);

-- drop_unused_epochs: nothing was sealed under them, and nothing will be
DELETE FROM epochs
WHERE epoch <> ?1
    AND NOT EXISTS (SELECT 1 FROM batches WHERE batches.epoch = epochs.epoch)
    AND NOT EXISTS (SELECT 1 FROM dictionaries WHERE dictionaries.epoch = epochs.epoch);

-- drop_unused_epoch_copies: the same for their copies
DELETE FROM epoch_copies WHERE epoch NOT IN (SELECT epoch FROM epochs);

-- --------------------------------------------------------- receipts

-- add_receipt: a range will not be delivered in full
INSERT INTO receipts (stream, first, last, reason, at_us, detail, summary_stream, summary_first, summary_last)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9);

-- receipt_ending_at: a receipt that nobody has read yet, and that the next range continues
SELECT id FROM receipts
WHERE stream = ?1 AND last = ?2 AND reason = ?3 AND detail = ?4 AND state = 0 AND summary_stream IS NULL;

-- extend_receipt: it covers more
UPDATE receipts SET last = ?2, at_us = ?3 WHERE id = ?1;

-- open_receipts: what the hub has to be told
SELECT r.id, r.stream, l.incarnation, s.name, r.first, r.last, r.reason, r.at_us, r.detail,
    r.summary_stream, r.summary_first, r.summary_last
FROM receipts r JOIN streams s ON s.id = r.stream JOIN lives l ON l.id = s.life
WHERE r.state < 2 ORDER BY r.id LIMIT ?1;

-- state_receipt: from now on it must not change
UPDATE receipts SET state = 1 WHERE id = ?1 AND state = 0;

-- receipts_of: all receipts of a stream
SELECT id, first, last, state FROM receipts WHERE stream = ?1 ORDER BY first;

-- finish_receipt: the hub has it
UPDATE receipts SET state = 2, done_us = ?2 WHERE id = ?1;

-- reopen_receipt: the hub no longer has it
UPDATE receipts SET state = 1, done_us = NULL WHERE id = ?1;

-- drop_archived_receipts: in every backup of the hub
DELETE FROM receipts WHERE stream = ?1 AND state = 2 AND last <= ?2;

-- drop_old_receipts: the hub has had them long enough
DELETE FROM receipts WHERE state = 2 AND done_us < ?1;

-- ------------------------------------------------------------ hours

-- count_hour: records of an hour got a sequence
INSERT INTO hours (stream, hour, count) VALUES (?1, ?2, ?3)
ON CONFLICT (stream, hour) DO UPDATE SET count = count + excluded.count;

-- untold_hours: what the hub was not told of, oldest hour first
SELECT hour, count FROM hours INDEXED BY untold WHERE stream = ?1 AND told <> count ORDER BY hour LIMIT ?2;

-- tell_hour: the hub was told
UPDATE hours SET told = ?3 WHERE stream = ?1 AND hour = ?2;

-- untell_hours: another start of the hub may know less
UPDATE hours SET told = 0 WHERE told <> 0;

-- add_chunk_hours: of a chunk that spans several
INSERT INTO chunk_hours (chunk, hours) VALUES (?1, ?2);

-- chunk_hours: how many records of which hour are in a chunk
SELECT c.count, c.oldest_us, c.newest_us, h.hours FROM chunks c LEFT JOIN chunk_hours h ON h.chunk = c.id WHERE c.id = ?1;

-- add_batch_hours: of a batch that spans several
INSERT INTO batch_hours (batch, hours) VALUES (?1, ?2);

-- batch_hours: the same of a batch
SELECT b.last - b.first + 1, b.oldest_us, b.newest_us, h.hours
FROM batches b LEFT JOIN batch_hours h ON h.batch = b.id WHERE b.id = ?1;

-- set_receipt_hours: of the range of a receipt
INSERT INTO receipt_hours (receipt, hours) VALUES (?1, ?2) ON CONFLICT (receipt) DO UPDATE SET hours = excluded.hours;

-- receipt_hours: the same
SELECT hours FROM receipt_hours WHERE receipt = ?1;

-- drop_receipt_hours: it covers more now, of which nobody knows the hours
DELETE FROM receipt_hours WHERE receipt = ?1;

-- ------------------------------------------------ checkpoints, notes

-- set_checkpoint: how far an input has read
INSERT INTO checkpoints (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value;

-- checkpoint: how far an input has read
SELECT value FROM checkpoints WHERE key = ?1;

-- set_note: something to remember
INSERT INTO notes (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value;

-- note: something remembered
SELECT value FROM notes WHERE key = ?1;

-- -------------------------------------------------------- checking

-- next_chunks: chunks in the order of their ids, with their bodies
SELECT id, stream, first, count, size, plain_size, checksum, oldest_us, newest_us, appended_us, body
FROM chunks WHERE id > ?1 ORDER BY id LIMIT ?2;

-- next_batches: batches in the order of their ids, with their bytes
SELECT b.id, b.stream, b.first, b.last, b.digest, b.state, o.raw
FROM batches b LEFT JOIN bodies o ON o.batch = b.id WHERE b.id > ?1 ORDER BY b.id LIMIT ?2;

-- next_dictionaries: dictionaries in any order that stays
SELECT rowid, dictionary, epoch, digest, raw, confirmed FROM dictionaries WHERE rowid > ?1 ORDER BY rowid LIMIT ?2;

-- stream_of_chunk: whose chunk it is
SELECT stream FROM chunks WHERE id = ?1;

-- stream_of_batch: whose batch it is
SELECT stream FROM batches WHERE id = ?1;

-- ----------------------------------------------------------- status

-- pending_totals: unacknowledged batches per stream
SELECT stream, count(*), sum(size), min(oldest_us), sum(state = 1) FROM batches INDEXED BY pending
WHERE state < 2 GROUP BY stream;

-- retained_totals: acknowledged batches that are kept
SELECT count(*), coalesce(sum(size), 0) FROM batches WHERE state = 2;

-- receipt_totals: records given up, per stream and reason
SELECT stream, reason, sum(last - first + 1) FROM receipts GROUP BY stream, reason;

-- count_open_receipts: receipts that the hub does not have
SELECT count(*) FROM receipts WHERE state < 2;

-- chunk_totals: records and bytes of a stream's tail, counted
SELECT coalesce(sum(count), 0), coalesce(sum(size), 0) FROM chunks WHERE stream = ?1;

-- raise_head: a stream's head is at least what its batches, chunks and receipts say
UPDATE streams SET head = max(head,
    coalesce((SELECT max(last) FROM batches WHERE stream = ?1), 0),
    coalesce((SELECT max(first + count - 1) FROM chunks WHERE stream = ?1), 0),
    coalesce((SELECT max(last) FROM receipts WHERE stream = ?1), 0))
WHERE id = ?1;
