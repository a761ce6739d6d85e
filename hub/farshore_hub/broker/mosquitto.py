"""Settings and access rights for Mosquitto, that let each site have its own topics only. Pure.

Mosquitto knows who it is by the certificate's common name, and takes that for the client's name too: so no site can
take another's place, whatever it calls itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from farshore_protocol.limits import KIB
from farshore_protocol.topics import HUB_CLIENT, MAX_PACKET_BYTES, READ_BY_SITE, WRITTEN_BY_SITE, Topics

PORT: Final = 8883
_SITE: Final = "%u"
"""Stands for whoever is connected."""


def settings(folder: Path) -> str:
    """The text of a `mosquitto.conf` that uses the files in `folder`."""
    return f"""\
per_listener_settings true
listener {PORT}
cafile {folder}/ca.pem
certfile {folder}/broker.pem
keyfile {folder}/broker.pem
tls_version tlsv1.3
require_certificate true
use_identity_as_username true
use_username_as_clientid true
acl_file {folder}/access
max_packet_size {MAX_PACKET_BYTES + KIB}
max_connections -1
# The hub publishes again what is lost; nothing need outlive the broker.
persistence false
"""


def access_list(topics: Topics) -> str:
    """The text of the file with access rights."""
    hub = [f"topic write {topics.of_all(what)}" for what in READ_BY_SITE]
    hub += [f"topic read {topics.of_all(what)}" for what in WRITTEN_BY_SITE]
    site = [f"pattern read {topics.of(_SITE, what)}" for what in READ_BY_SITE]
    site += [f"pattern write {topics.of(_SITE, what)}" for what in WRITTEN_BY_SITE]
    return "\n".join([f"user {HUB_CLIENT}", *hub, "", *site, ""])
