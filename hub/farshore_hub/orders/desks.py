"""Everything that people and scripts do with orders, in one value that is handed in."""

from __future__ import annotations

from dataclasses import dataclass

from farshore_hub.fleet.context import Fleet
from farshore_hub.orders.commands import CommandDesk
from farshore_hub.orders.config import ConfigDesk
from farshore_hub.orders.overview import SteeredFleet
from farshore_hub.orders.rollouts import RolloutDesk
from farshore_hub.orders.secrets import Secrets


@dataclass(frozen=True, slots=True)
class OrderDesks:
    """The desks, and a look at the fleet."""

    config: ConfigDesk
    rollouts: RolloutDesk
    commands: CommandDesk
    secrets: Secrets
    steered: SteeredFleet

    @classmethod
    def of(cls, fleet: Fleet) -> OrderDesks:
        """Of that hub."""
        parts = (fleet.engine, fleet.keys, fleet.clock)
        return cls(
            ConfigDesk(*parts),
            RolloutDesk(fleet.engine, fleet.clock),
            CommandDesk(*parts),
            Secrets(*parts),
            SteeredFleet(fleet.engine, fleet.keys),
        )
