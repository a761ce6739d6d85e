"""Captures the changes of tables of the site's own SQLite databases, and hands them over as records.

The application goes on using its database as it did: a trigger notes the key of each row that it changes, in the
application's own transaction, and this room looks at what has become of those rows
(docs/decisions/0017-capture-by-key.md).
"""
