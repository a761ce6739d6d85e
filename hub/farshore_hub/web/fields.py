"""Fields that many routes have: names, numbers and texts as they are bounded and described everywhere.

A pattern in `json_schema_extra` is described here and checked by whoever knows what it means: the refusal then says the
rule in words.
"""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Path, Query
from pydantic import Field
from pydantic.config import JsonDict
from pydantic.json_schema import SkipJsonSchema

from farshore_hub.orders.said import MAX_CHARS
from farshore_hub.watch.desk import MAX_ID
from farshore_protocol.limits import MAX_NAME_CHARS
from farshore_protocol.names import ANY_STREAM_PATTERN, SITE_PATTERN

A_SITE: Final[JsonDict] = {"pattern": f"^{SITE_PATTERN}$"}
A_STREAM: Final[JsonDict] = {"pattern": f"^{ANY_STREAM_PATTERN}$"}
WITHOUT_NUL: Final[JsonDict] = {"pattern": r"^[^\u0000]*$"}
"""Texts that both databases can hold."""

_MAX_STREAM_CHARS: Final = 2 * MAX_NAME_CHARS + 1
"""With what Farshore adds to the name of a stream."""

Number = Annotated[int, Path(ge=1, le=MAX_ID, description="its number")]
SiteInPath = Annotated[str, Path(description="the site's name", max_length=MAX_NAME_CHARS, json_schema_extra=A_SITE)]
Note = Annotated[str, Field(max_length=MAX_CHARS, json_schema_extra=WITHOUT_NUL)]
"""What somebody has to say of what they do."""

_Site = Annotated[str, Field(max_length=MAX_NAME_CHARS, json_schema_extra=A_SITE)]
Stream = Annotated[str, Field(max_length=_MAX_STREAM_CHARS, json_schema_extra=A_STREAM)]
AnySite = Annotated[_Site | SkipJsonSchema[None], Query(description="only of this site")]
AnyStream = Annotated[Stream | SkipJsonSchema[None], Query(description="only this stream")]
