"""Orders of the hub: desired settings and commands. They are checked, done at most once, and reported on.

The road on which something came proves nothing: an answer, an MQTT broker and a stick bring the same bytes, and
`intake` alone decides which of them are the hub's, for this site, and new. What was taken, what is in force and what
the hub knows of it is one `State` in one file that is replaced whole; everything else follows from it.
"""

from __future__ import annotations

from farshore_agent.orders.orders import Orders

__all__ = ["Orders"]
