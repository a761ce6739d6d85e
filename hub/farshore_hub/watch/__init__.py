"""Looks at the whole fleet and at the hub itself every so often, and keeps the book of alerts."""
