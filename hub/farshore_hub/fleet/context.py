"""What every operation of the fleet needs, in one value that is handed in."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Engine

from farshore_hub.fleet.keys import HubKeys
from farshore_protocol.ports import Clock, Random


@dataclass(frozen=True, slots=True)
class Fleet:
    """The hub's database, keys and rules, for `sites`, `enrol`, `renew`, `signin` and `api_tokens`.

    Attributes:
        addresses: where sites reach the hub, for join tokens and memberships.
        site_life_s: the life of a site's certificate.
        renewal_grace_s: how long after its certificate's end a site may renew with its signing key.
    """

    engine: Engine
    keys: HubKeys
    addresses: list[str]
    site_life_s: int
    renewal_grace_s: int
    clock: Clock
    random: Random
