"""Merges what sites say of their tables into one table of the hub's database.

Always: the merged table depends on which changes there were, not on the order in which they came, nor on how often;
every value that loses against another site's is in the conflict ledger (docs/decisions/0023-merging.md).
"""
