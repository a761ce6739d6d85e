"""The hub: receives what the sites send, accounts for every record and keeps the tables."""
