"""What a way out of the house does, and how it says that it failed."""

from __future__ import annotations

from typing import Protocol

from farshore_hub.store.messages import Message


class NotDelivered(Exception):
    """A channel does not have a message. The text says why and holds no secret.

    Attributes:
        retry_after_s: when the receiver wants to be asked again, if it said so.
        is_refusal: the receiver has read this very message and does not want it.
    """

    def __init__(self, why: str, retry_after_s: int | None = None, *, is_refusal: bool = False) -> None:
        super().__init__(why)
        self.retry_after_s = retry_after_s
        self.is_refusal = is_refusal


class Channel(Protocol):
    """A way out of the house."""

    @property
    def name(self) -> str:
        """What its messages are kept under; for logs and figures."""
        ...

    async def send(self, message: Message) -> None:
        """Deliver a message; when this returns, the receiver has it.

        Raises:
            NotDelivered: it may have it or not. The same message is sent again, under the same key.
        """
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
