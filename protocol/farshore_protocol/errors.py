"""What can go wrong between two peers, and whose fault it is.

Every error of the protocol is one of these. A decoder raises nothing else, whatever bytes it is given.
"""

from __future__ import annotations


class ProtocolError(Exception):
    """Something in what the peer sent cannot be used. The text says what and where."""


class Malformed(ProtocolError):
    """The bytes do not have the form that docs/wire-format.md gives. The peer, or something between, is at fault."""


class Unsupported(ProtocolError):
    """The peer speaks a newer version, or a kind of message that is unknown here. Nothing is wrong with the data."""


class NotAuthentic(ProtocolError):
    """A signature or an authentication tag does not match: damaged, forged, or made for somebody else."""


class OverLimit(ProtocolError):
    """A bound of `limits` would be passed. Refused before the work is done."""
