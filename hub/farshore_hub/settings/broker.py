"""The part of `hub.toml` about MQTT: the hub's own broker, or another."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from farshore_hub.fleet.addresses import split_listen
from farshore_hub.settings.rooms import Listen
from farshore_hub.settings.strict import StrictTable
from farshore_protocol.topics import split_broker

_LOOPBACK: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - they are translated
"""How who listens everywhere is reached from the same machine."""


class Broker(StrictTable):
    """MQTT, which brings orders to sites at once; without it they come with the answer to a site's next parcel."""

    embedded: bool = Field(default=False, description="start a broker (nats-server) with the hub, and look after it")
    listen: Listen = Field(default="0.0.0.0:8883", description="HOST:PORT of the hub's own broker")
    url: str = Field(default="", max_length=300, description="mqtts://HOST:PORT of another broker")
    address: str = Field(
        default="",
        max_length=300,
        description="HOST:PORT under which sites reach it; empty: the host of the hub's first address, or that of url",
    )
    username: str = Field(default="", max_length=200, description="of the hub at another broker, if it wants one")
    password_file: Path | None = Field(default=None, description="its password stands in that file")

    @property
    def wanted(self) -> bool:
        """Whether there is a broker."""
        return self.embedded or bool(self.url)

    @field_validator("url")
    @classmethod
    def _check_url(cls, text: str) -> str:
        if text:
            if not text.startswith("mqtts://"):
                raise ValueError("write it as mqtts://HOST:PORT; a broker is reached over TLS only")
            split_broker(_place(text))
        return text

    @field_validator("address")
    @classmethod
    def _check_address(cls, text: str) -> str:
        if text:
            split_broker(text)
        return text

    @model_validator(mode="after")
    def _check_one(self) -> Self:
        if self.embedded and self.url:
            raise ValueError("either embedded or url: one broker is enough")
        return self

    def endpoint(self) -> tuple[str, int]:
        """Where the hub reaches it."""
        if self.url:
            return split_broker(_place(self.url))
        host, port = split_listen(self.listen)
        return _LOOPBACK.get(host, host), port

    def told(self, hub_address: str) -> str:
        """HOST:PORT as sites are told; empty: there is no broker for them."""
        if not self.wanted:
            return ""
        host, port = self.endpoint()
        if self.address:
            host, port = split_broker(self.address)
        elif self.embedded:
            host = urlsplit(hub_address).hostname or host
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _place(url: str) -> str:
    return url.removeprefix("mqtts://").rstrip("/")
