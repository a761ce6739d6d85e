"""`farshore-hub tables`: what sites' tables were merged into, what has lost or does not fit, the hub's own edits."""

from farshore_hub.cli.tables import conflicts, edits, filling, looking, misfits
from farshore_hub.cli.tables.group import command

__all__ = ["command", "conflicts", "edits", "filling", "looking", "misfits"]
