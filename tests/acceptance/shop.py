"""A program with a database of its own, as shops have them: it writes until it is killed, and knows of no agent.

`python -m tests.acceptance.shop DATABASE SEED` prints a line once it writes.
"""

from __future__ import annotations

import contextlib
import random
import sqlite3
import sys
import time

SCHEMA = """
CREATE TABLE IF NOT EXISTS customers (name TEXT PRIMARY KEY, city TEXT DEFAULT 'Ulm') WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS orders (
  id INTEGER PRIMARY KEY, customer TEXT REFERENCES customers (name) ON UPDATE CASCADE ON DELETE CASCADE,
  code TEXT UNIQUE, total REAL NOT NULL DEFAULT 0, tax REAL AS (total / 5) STORED, slip BLOB, note ANY) STRICT;
"""
_PAUSE_S = 0.002


def main(path: str, seed: str) -> None:
    """Write for ever."""
    chance = random.Random(seed)
    database = sqlite3.connect(path, isolation_level=None, timeout=60)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA foreign_keys = ON")
    database.executescript(SCHEMA)
    sys.stdout.write("writing\n")
    sys.stdout.flush()
    while True:
        database.execute("BEGIN IMMEDIATE")
        for _ in range(chance.randint(1, 8)):
            with contextlib.suppress(sqlite3.IntegrityError):
                change(database, chance)
        database.execute("COMMIT" if chance.random() < 0.9 else "ROLLBACK")
        time.sleep(_PAUSE_S)


def change(database: sqlite3.Connection, chance: random.Random) -> None:
    """One statement of the kinds that applications use."""
    order, name = chance.randint(1, 300), f"c{chance.randint(1, 20)} ü"
    code = chance.choice([None, f"code-{chance.randint(1, 200)}"])
    total, slip = chance.choice([0, 1, 2.5, -0.0, 1e-300]), chance.choice([None, chance.randbytes(20)])
    database.execute("INSERT OR IGNORE INTO customers (name) VALUES (?)", (name,))
    statement, values = chance.choice(
        [
            ("INSERT OR REPLACE INTO orders (id, customer, code, total, slip) VALUES (?, ?, ?, ?, ?)",
             (order, name, code, total, slip)),
            ("INSERT INTO orders (id, customer, note) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET note = excluded.note",
             (order, name, chance.choice([1, "1", None, b"1"]))),
            ("UPDATE OR REPLACE orders SET code = ?, total = total + 1 WHERE id = ?", (code, order)),
            ("UPDATE orders SET id = ? WHERE id = ?", (chance.randint(1, 300), order)),
            ("DELETE FROM orders WHERE id = ?", (order,)),
            ("UPDATE customers SET name = ? WHERE name = ?", (f"c{chance.randint(1, 20)} ü", name)),
            ("DELETE FROM customers WHERE name = ? AND random() % 4 = 0", (name,)),
        ]
    )  # fmt: skip
    database.execute(statement, values)


if __name__ == "__main__":
    main(*sys.argv[1:])
