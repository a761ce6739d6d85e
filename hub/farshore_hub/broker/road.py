"""Orders and reports over MQTT, as the settings say: at the hub's own broker, at another, or not at all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from farshore_hub.broker.certificates import hub_client
from farshore_hub.broker.push import Desk, Push, hello_of
from farshore_hub.errors import SettingsInvalid
from farshore_hub.fleet.addresses import split_listen
from farshore_hub.fleet.context import Fleet
from farshore_hub.fleet.signin import Peer
from farshore_hub.settings.broker import Broker
from farshore_hub.work.loops import Loop
from farshore_protocol.ports import Runner
from farshore_protocol.topics import BROKER_NAME, MAX_PACKET_BYTES
from farshore_shell.mqtt.client import Endpoint
from farshore_shell.system import World

if TYPE_CHECKING:
    from farshore_hub.broker.embedded import Embedded

FOLDER: Final = "broker"
RETRY_S: Final = 10
MAX_MESSAGES_S: Final = 2000
"""That a broker may bring: the time of this process belongs to parcels."""
_MAX_PASSWORD_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class MqttRoad:
    """What runs for it."""

    push: Push
    embedded: Embedded | None

    def loops(self, fleet: Fleet) -> list[Loop]:
        """To be run."""
        works = {"orders over MQTT": self.push.run} | ({"broker": self.embedded.run} if self.embedded else {})
        return [Loop(name, work, fleet.clock, retry_s=RETRY_S) for name, work in works.items()]

    def fault(self) -> str:
        """Why sites are not reached over MQTT just now, or nothing."""
        return (self.embedded.fault if self.embedded else "") or self.push.fault


def road_of(
    table: Broker,
    data_dir: Path,
    fleet: Fleet,
    desk: Desk,
    max_connections: int,
    sign_in: Callable[[Peer], Awaitable[str]],
    run: Runner,
) -> MqttRoad | None:
    """The road, if there is a broker.

    Raises:
        SettingsInvalid: the file with the password cannot be read.
    """
    if not table.wanted:
        return None
    client = hub_client(fleet)
    host, port = table.endpoint()
    endpoint = Endpoint(host, port, client.tls, BROKER_NAME, MAX_PACKET_BYTES, MAX_MESSAGES_S)
    hello = hello_of(table.username, _password(table, data_dir))
    push = Push(desk, fleet.keys.hub, endpoint, hello, World(fleet.clock, fleet.random), run)
    if not table.embedded:
        return MqttRoad(push, None)
    # A hub that needs no broker does without the library.
    from farshore_hub.broker.embedded import Embedded  # noqa: PLC0415

    listen, folder = split_listen(table.listen), (data_dir / FOLDER).absolute()
    return MqttRoad(push, Embedded(fleet, folder, listen, max_connections, client.serial, sign_in, run))


def _password(table: Broker, data_dir: Path) -> str:
    if table.password_file is None:
        return ""
    path = data_dir / table.password_file
    try:
        with path.open("rb") as file:
            return file.read(_MAX_PASSWORD_BYTES).decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsInvalid(f"broker.password_file: {path} cannot be read: {error}") from None
