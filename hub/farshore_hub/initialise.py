"""Makes a hub out of an empty folder: keys, certificates, database, first token, and `hub.toml` last.

`hub.toml` is what makes a folder a hub. So after a crash in the middle the same call goes on: what is there is kept.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from farshore_hub import settings
from farshore_hub.errors import Conflict
from farshore_hub.fleet import api_tokens
from farshore_hub.fleet.api_tokens import Role
from farshore_hub.fleet.files import make_private_folder
from farshore_hub.fleet.keys import HubKeys
from farshore_hub.opening import fleet_of, opened_engine
from farshore_hub.settings import FILE, Place
from farshore_hub.store import fleet as store
from farshore_hub.store import migrate
from farshore_hub.store.engine import writing
from farshore_protocol.ports import Clock, Random
from farshore_shell.files import write_private

FIRST_TOKEN: Final = "admin"  # noqa: S105 - its name

_TEMPLATE: Final = """\
# A Farshore hub. What is not here has its default. Paths are relative to this folder.
# Durations are written as '30 s', '10 min', '24 h' or '7 d'.

# where to listen
listen = {listen}

# where sites reach this hub; they are told with their join token and at every renewal
addresses = {addresses}

[database]
# empty: hub.db in this folder; or postgresql://USER:PASSWORD@HOST/NAME
url = {url}

{mark}[lake]
{mark}url = {lake}  # s3://BUCKET/PREFIX instead of a folder; credentials: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY
{mark}endpoint = {endpoint}  # https://HOST:PORT of that object store; empty: Amazon's
# region = "us-east-1"
# path = "lake"            # the folder of the Delta tables
# within = "5 min"         # a stored record is in its table after this; of busy streams after seconds
# max_spill_bytes = 4294967296  # of one query or export: what goes to the folder `spill` when it does not fit memory

# [retention]
# payloads = "30 d"        # how long a sealed batch is kept after its records are in the lake
# claims = "30 d"          # so long 'completeness --at' is exact for any moment; before that for midnights, UTC
# archive = "never"        # sites keep what they delivered while it fits; "backup": until the backups have it;
#                          # "stored": this hub is never restored

# [sites]
# max_kept_bytes = 107374182400  # of one site: sealed batches until they are given up; the rest stays at the site

# [completeness]
# silent_after = "15 min"  # of a site that was not heard for so long nobody can say that it is complete

# [certificates]
# site_life = "30 d"
# renewal_grace = "400 d"  # how long after its certificate's end a site may renew with its signing key

# [web]
# max_connections = 20000
# max_connections_per_address = 10000
# max_bodies_bytes = 268435456
# body_timeout = "120 s"
# query_timeout = "30 s"
# max_query_rows = 100000

# [alerts]
# every = "30 s"           # how often everything is looked at
# grace = "10 min"         # of a hub that runs for less, silence may be its own fault

# Who is told, what streams promise, other levels: docs/how-to/alerts.md
"""


@dataclass(frozen=True, slots=True)
class Stores:
    """Where a hub keeps what it stores; empty: in its folder.

    Attributes:
        database: URL of a PostgreSQL database.
        lake: s3://BUCKET/PREFIX.
        lake_endpoint: https://HOST:PORT of that object store.
    """

    database: str = ""
    lake: str = ""
    lake_endpoint: str = ""


def initialise(
    data_dir: Path, addresses: list[str], listen: str | None, stores: Stores, clock: Clock, random: Random
) -> str:
    """Make the hub and return the first admin token.

    Raises:
        Conflict: there is one in that folder.
        SettingsInvalid: an address is not one.
    """
    if (data_dir / FILE).exists():
        raise Conflict(
            f"there is a hub in {data_dir} already", remedy=f"start it: farshore-hub serve --data-dir {data_dir}"
        )
    port = urlsplit(addresses[0]).port or 443
    listen = listen or f"0.0.0.0:{port}"
    given = {"listen": listen, "addresses": addresses, "url": stores.database}
    given |= {"lake": stores.lake, "endpoint": stores.lake_endpoint}
    quoted = {name: json.dumps(value) for name, value in given.items()}
    text = _TEMPLATE.format(mark="" if stores.lake else "# ", **quoted)
    place = Place(data_dir, settings.parse(text, "the command line"))
    make_private_folder(data_dir)
    keys = HubKeys.create(place.keys, clock, random)
    write_private(settings.ca_path(data_dir), keys.ca.pem)
    keys.renew_tls(place.settings.addresses, clock, random)
    token = _make_database(place, keys)
    write_private(data_dir / FILE, text.encode())
    return token


def _make_database(place: Place, keys: HubKeys) -> str:
    with opened_engine(place) as engine:
        migrate.upgrade(engine)
        with writing(engine) as connection:
            store.delete_api_token(connection, FIRST_TOKEN)
        return api_tokens.add(fleet_of(place, keys, engine), FIRST_TOKEN, Role.ADMIN)
