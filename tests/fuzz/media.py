"""For schemathesis: what to send where a body is bytes."""

from __future__ import annotations

import schemathesis
from hypothesis import strategies as st

from farshore_protocol.parcel import PARCEL_TYPE

_ANY = st.binary(max_size=4096)

schemathesis.openapi.media_type(PARCEL_TYPE, _ANY | _ANY.map(b"FSP\x01".__add__))
schemathesis.openapi.media_type("application/vnd.msgpack", _ANY)
