"""The hub's durable state: tables, migrations, and the SQL of each room; SQLite and PostgreSQL."""
