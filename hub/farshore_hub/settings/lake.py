"""The part of `hub.toml` about the lake: a folder, or an object store that speaks S3."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, Self

from pydantic import Field, field_validator, model_validator

from farshore_hub.settings.strict import StrictTable
from farshore_hub.texts.durations import Seconds
from farshore_protocol.limits import MIB

_DEFAULT_PATH: Final = Path("lake")
_BUCKET: Final = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9!_.*'()-]+)*")
_ENDPOINT: Final = re.compile(r"https?://(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+)(:[0-9]{1,5})?")


class Lake(StrictTable):
    """Where the Delta tables are kept: in a folder, or in an object store that speaks S3."""

    path: Path = Field(default=_DEFAULT_PATH, description="folder of the Delta tables")
    url: str = Field(
        default="",
        max_length=1000,
        description="s3://BUCKET/PREFIX, of this hub alone: the tables lie in an object store instead of the folder",
    )
    endpoint: str = Field(
        default="",
        max_length=300,
        description="https://HOST:PORT of the object store; empty: Amazon's. http:// is for a network that is trusted",
    )
    region: str = Field(default="us-east-1", pattern=r"^[a-z0-9-]{1,50}$", description="of the bucket")
    credentials_file: Path | None = Field(
        default=None,
        description="a file with aws_access_key_id and aws_secret_access_key under [default], as AWS's tools write it; "
        "empty: the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY), or what the machine itself is given",
    )
    within: Seconds = Field(
        default=300,
        ge=1,
        description="a stored record is in its table after this; of busy streams after seconds. Queries see it at once",
    )
    max_spill_bytes: int = Field(
        default=4096 * MIB,
        ge=64 * MIB,
        description="of one query or export: what it may put into the folder `spill` of the data directory while it is "
        "answered; never more than an eighth of what is free there",
    )

    @field_validator("url")
    @classmethod
    def _check_url(cls, text: str) -> str:
        text = text.rstrip("/")
        if text and not _BUCKET.fullmatch(text):
            raise ValueError("this is no place in an object store: write it as s3://BUCKET/PREFIX")
        return text

    @field_validator("endpoint")
    @classmethod
    def _check_endpoint(cls, text: str) -> str:
        text = text.rstrip("/")
        if text and not _ENDPOINT.fullmatch(text):
            raise ValueError("this is no address: write it as https://HOST:PORT, without a user, a path or a bucket")
        return text

    @model_validator(mode="after")
    def _check_one(self) -> Self:
        if self.url and self.path != _DEFAULT_PATH:
            raise ValueError("either path or url: one lake is enough")
        if not self.url and (self.endpoint or self.credentials_file):
            raise ValueError("endpoint and credentials_file are of an object store: say which with url")
        return self
