"""A program with a database that other sites change too: it writes until it is killed, and knows of no agent.

`python -m tests.acceptance.stock DATABASE SEED` prints a line once it writes.
"""

from __future__ import annotations

import random
import sqlite3
import sys
import time

SCHEMA = """
CREATE TABLE IF NOT EXISTS shelves (name TEXT PRIMARY KEY, region TEXT);
CREATE TABLE IF NOT EXISTS goods (
  id INTEGER PRIMARY KEY, shelf TEXT REFERENCES shelves (name), title TEXT NOT NULL, stock INTEGER, price REAL, note
);
"""
GOODS = 120
_PAUSE_S = 0.03


def main(path: str, seed: str) -> None:
    """Write for ever."""
    chance = random.Random(seed)
    database = sqlite3.connect(path, isolation_level=None, timeout=60)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA foreign_keys = ON")
    sys.stdout.write("writing\n")
    sys.stdout.flush()
    while True:
        database.execute("BEGIN IMMEDIATE")
        for _ in range(chance.randint(1, 3)):
            change(database, chance)
        database.execute("COMMIT" if chance.random() < 0.9 else "ROLLBACK")
        time.sleep(_PAUSE_S)


def change(database: sqlite3.Connection, chance: random.Random) -> None:
    """One statement of the kinds that applications use."""
    key = chance.randint(1, GOODS)
    shelves = [name for (name,) in database.execute("SELECT name FROM shelves WHERE region = 'north'")]
    shelf, note = chance.choice([None, *shelves]), chance.choice([None, 1, 1.5, "é", "e\u0301", b"\0"])
    database.execute(
        *chance.choice(
            [
                ("INSERT OR IGNORE INTO goods (id, shelf, title, stock) VALUES (?, ?, 'new', 0)", (key, shelf)),
                ("UPDATE goods SET stock = coalesce(stock, 0) + 1 WHERE id = ?", (key,)),
                ("UPDATE goods SET price = ?, note = ? WHERE id = ?", (chance.random(), note, key)),
                ("UPDATE goods SET title = ?, shelf = ? WHERE id = ?", (str(chance.random()), shelf, key)),
                ("DELETE FROM goods WHERE id = ? AND random() % 3 = 0", (key,)),
            ]
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
