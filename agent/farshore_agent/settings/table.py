"""What every table of the settings file is: closed, typed without guessing, and unchangeable once read."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Table(BaseModel):
    """Base of all settings models.

    A key that the model does not know is an error, and the text "5" is no number. A file uses the short keys
    (`linger`), code the attribute names with their units (`linger_s`).
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        validate_by_name=True,
        validate_by_alias=True,
        hide_input_in_errors=True,
    )
