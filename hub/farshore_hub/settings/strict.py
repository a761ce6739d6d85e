"""A table of settings that takes no key it does not know: a misspelt setting must not be a default."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class StrictTable(BaseModel):
    """The base of all tables of `hub.toml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)
