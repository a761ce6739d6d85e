"""The columnar format of a batch's records: `encode` and `decode`. docs/wire-format/columns.md has every byte of it."""

from __future__ import annotations

from farshore_protocol.columns.codec import VERSION, decode, encode
from farshore_protocol.columns.dictionary import Dictionary
from farshore_protocol.columns.limits import DEFAULT_LIMITS, MAX_DEPTH, DecodeError, DecodeLimits
from farshore_protocol.columns.plan import Effort, Plan
from farshore_protocol.columns.training import train_dictionary
from farshore_protocol.columns.values import MISSING, Columns, Missing, Value

__all__ = [
    "DEFAULT_LIMITS",
    "MAX_DEPTH",
    "MISSING",
    "VERSION",
    "Columns",
    "DecodeError",
    "DecodeLimits",
    "Dictionary",
    "Effort",
    "Missing",
    "Plan",
    "Value",
    "decode",
    "encode",
    "train_dictionary",
]
