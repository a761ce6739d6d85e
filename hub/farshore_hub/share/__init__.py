"""The way of merged rows to the sites that follow tables: pages of what has changed, as far as a site may see it.

Always: a site gets rows of its own scope only, by its labels as they are when the page is made; it hears of every row
that leaves its scope; and a cursor that another state of this hub has given out begins a reading anew
(docs/decisions/0030-followed-tables.md).
"""
