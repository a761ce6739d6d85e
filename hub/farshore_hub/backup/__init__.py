"""Backups of the whole hub, made while it runs, and a hub out of a backup.

A backup is a folder of ordinary files beside earlier ones. What lake tables have in common with the backup before is
linked, not copied: their files never change. `manifest.json` is written last and names every file with its hash.
"""
