"""What all views have in common: what people and scripts are shown, the same from the API and from the commands."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

TimeUs = Annotated[int | None, Field(description="microseconds since 1970; null for never")]


class View(BaseModel):
    """The base of views that are made of the rooms' own objects, attribute by attribute."""

    model_config = ConfigDict(from_attributes=True)
