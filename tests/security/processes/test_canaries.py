"""One whole run at debug level, with values that must not show: what leaks a secret leaks one of these."""

from __future__ import annotations

import base64
import json
import os
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pyarrow.parquet as pq
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from farshore_agent.identity.identity import Identity
from farshore_protocol.enrolment import read_token
from tests.acceptance.commands import Daemon, succeed, until
from tests.acceptance.hub import Hub
from tests.acceptance.settled import drain
from tests.acceptance.site import Site
from tests.security.stolen import every_file, files_with, shows

pytestmark = pytest.mark.xdist_group("canaries")
"""One run for all: each worker would make its own."""

VALUE: Final = "canary-value-5d1e"
SECRET: Final = "canary-password-93b7c2d04f51"
_DEBUG: Final = """
import logging, os, sys
os.umask(0)
begin = logging.basicConfig
logging.basicConfig = lambda **given: begin(**given | {"level": logging.DEBUG})
leave = logging.Logger.setLevel
logging.Logger.setLevel = lambda logger, level: leave(logger, logging.DEBUG)
from %s.%s import main
sys.argv[0] = %r
main()
"""


class Ran:
    """A hub and a site after some work, with everything secret that they had."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.hub = Hub(folder)
        self.hub.daemon = _debugging(self.hub.daemon, "farshore_hub", "cli.root", "farshore-hub")
        self.site = Site("canary", folder / "site", self.hub.port)
        self.site.daemon = _debugging(self.site.daemon, "farshore_agent", "cli", "farshore-agent")
        self.token = ""
        self.process_facts = b""
        self.said = b""
        self.away = folder.with_name(f"{folder.name}-away")
        self.backup = self.away

    def work(self) -> None:
        self.hub.start()
        self.token = self.hub.add_site(self.site.name)
        self.site.do("enrol", "-", given=self.token.encode())
        refused = self.site.run("enrol", "-", "--force", given=self.token.encode())
        assert refused.code == 5
        self.said += (refused.out + refused.err).encode()
        self.site.start()
        taken = self.site.post([{"ts": 1_795_000_000 + n, "what": VALUE, "n": n} for n in range(50)])
        assert taken.status == 200
        bad = self.site.ask("POST", "/v1/streams/readings", f'{{"ts": "{VALUE}"}}\n'.encode())
        assert bad.status in {200, 422}
        self._steer()
        drain(self.hub, self.site)
        until("the lake has it", lambda: bool(list((self.hub.data / "lake").rglob("*.parquet"))))
        self.said += self.site.do("status").out.encode() + self.site.do("status", "--json").out.encode()
        self.said += self.site.ask("GET", "/metrics").body + self.hub.request("GET", "/metrics")[1]
        self.said += self.hub.request("GET", "/openapi.json")[1] + self.hub.do("site", "list").out.encode()
        for daemon in (self.hub.daemon, self.site.daemon):
            assert daemon._child is not None
            proc = Path(f"/proc/{daemon._child.pid}")
            self.process_facts += (proc / "cmdline").read_bytes() + (proc / "environ").read_bytes()

    def _steer(self) -> None:
        """Settings with a secret in them reach the site; whatever is said of them is listened to."""
        layer = '[layer]\nprobe_s = 0\n[site_labels]\nwifi_password = "${secret.wifi}"\n'
        files = {"files": {"fleet.toml": layer}}
        self._tell("/v1/secrets", name="wifi", value=SECRET)
        until("the hub knows the site", lambda: self._stands() == "none")
        self._tell("/v1/config/preview", **files)
        self._tell("/v1/config", **files, soak="0 s")
        until("the site has them", lambda: self._stands() == "current")
        for path in ("/v1/secrets", "/v1/steering/deeds", "/v1/rollouts/1", "/v1/config/revisions/1"):
            self._hear(self.hub.request("GET", path))
        self._tell("/v1/config/preview", files={"fleet.toml": layer + "wrong = 1\nseal = 1\n"})
        self.said += self.site.do("settings", "show").out.encode()

    def _stands(self) -> str:
        said = self._hear(self.hub.request("GET", f"/v1/sites/{self.site.name}/config"))
        return str(json.loads(said)["site"]["agreement"])

    def _tell(self, path: str, **said: object) -> None:
        headers = {"content-type": "application/json"}
        self._hear(self.hub.request("POST", path, json.dumps(said).encode(), **headers))

    def _hear(self, answer: tuple[int, bytes]) -> bytes:
        assert answer[0] < 500, answer
        self.said += answer[1]
        return answer[1]

    def put_away(self) -> None:
        """What a person asks for, with umask 0: a support bundle, a backup, and a hub out of it."""
        self.away.mkdir(mode=0o700)
        umask = os.umask(0)
        try:
            self.site.do("support-bundle", self.away / "site.zip")
            self.hub.do("backup", "create", self.away / "backups")
            [self.backup] = (self.away / "backups").iterdir()
            keys = ("--keys", self.hub.data / "keys")
            succeed("farshore-hub", "--data-dir", self.away / "restored", "backup", "restore", self.backup, *keys)
        finally:
            os.umask(umask)

    def end(self) -> None:
        self.site.stop()
        self.hub.stop()
        self.said += b"".join(path.read_bytes() for path in self.folder.rglob("*.log") if "hub" in path.name)
        self.said += (self.site.folder / "agent.log").read_bytes()

    def secrets(self) -> dict[str, bytes]:
        """By name, the secrets' raw bytes."""
        identity, keys = Identity.load(self.site.state / "identity"), self.hub.data / "keys"
        return {
            "join token": read_token(self.token).secret,
            "API token": self.hub._token.encode(),
            "setting's secret": SECRET.encode(),
            "site's signing key": identity.keys.signing_key,
            "site's TLS key": _scalar(identity.keys.tls_key.encode()),
            "hub's sealing seed": bytes.fromhex((keys / "sealing.seed").read_text()),
            "hub's CA key": _scalar((keys / "authority.pem").read_bytes()),
            "hub's TLS key": _scalar((keys / "tls.pem").read_bytes()),
        }


def _debugging(daemon: Daemon, package: str, module: str, name: str) -> Daemon:
    at = next(at for at, word in enumerate(daemon._line) if word.endswith(name))
    daemon._line[at : at + 1] = [sys.executable, "-c", _DEBUG % (package, module, name)]
    return daemon


def _scalar(pem: bytes) -> bytes:
    key = serialization.load_pem_private_key(pem, None)
    assert isinstance(key, EllipticCurvePrivateKey)
    return key.private_numbers().private_value.to_bytes(32, "big")


def _forms(secret: bytes) -> set[bytes]:
    """How bytes may be written down. Base64 has three phases; its middle is the same in each."""
    turned = {base64.b64encode(b"\0" * at + secret)[4 if at else 0 : -4] for at in range(3)}
    urls = {each.replace(b"+", b"-").replace(b"/", b"_") for each in turned}
    return {secret, secret.hex().encode(), secret.hex().upper().encode(), repr(secret).encode()[2:-1], *turned, *urls}


def _shown(raw: bytes, secret: bytes) -> bool:
    return any(shows(raw, form) for form in _forms(secret))


@pytest.fixture(scope="module")
def ran(session_folder: Path) -> Iterator[Ran]:
    folder = session_folder / "canaries"
    folder.mkdir()
    made = Ran(folder)
    try:
        made.work()
        made.put_away()
        made.end()
        yield made
    finally:
        made.site.kill()
        made.hub.kill()


def test_the_search_finds_a_secret_in_every_form() -> None:
    secret = bytes(range(200, 232))
    for form in (secret, secret.hex().encode(), base64.b64encode(b"ab" + secret + b"c"), repr(secret).encode()):
        assert _shown(b"before" + form + b"after", secret)
    assert not _shown(b"before after", secret)


def test_no_secret_shows_in_logs_status_metrics_answers_arguments_or_environment(ran: Ran) -> None:
    assert b"DEBUG" in ran.said, "the run was at debug level"
    found = [name for name, secret in ran.secrets().items() if _shown(ran.said + ran.process_facts, secret)]
    assert found == []


def test_no_value_of_a_record_shows_in_logs_status_or_metrics(ran: Ran) -> None:
    assert VALUE.encode() not in ran.said + ran.process_facts


def test_tokens_are_nowhere_on_a_disk(ran: Ran) -> None:
    secrets = ran.secrets()
    for name in ("join token", "API token"):
        shown = [str(path) for path in every_file(ran.folder) if _shown(path.read_bytes(), secrets[name])]
        assert shown == [], name


def test_private_keys_are_in_their_own_files_only(ran: Ran) -> None:
    secrets, where = ran.secrets(), {}
    for name in secrets.keys() - {"join token", "API token"}:
        spelt = {"site's TLS key", "hub's CA key", "hub's TLS key"}
        where[name] = {
            str(path.relative_to(ran.folder))
            for path in every_file(ran.folder)
            if _holds(path, secrets[name], name in spelt)
        }
    assert where == {
        "site's signing key": {"site/state/identity/identity.json"},
        "site's TLS key": {"site/state/identity/identity.json", "site/state/identity/tls.pem"},
        "hub's sealing seed": {"hub/keys/sealing.seed"},
        "hub's CA key": {"hub/keys/authority.pem"},
        "hub's TLS key": {"hub/keys/tls.pem"},
        # In force at the site, and so in its own file; at the hub it is sealed, in the database and in orders.
        "setting's secret": {"site/state/orders/state.json"},
    }


def _holds(path: Path, secret: bytes, in_pem: bool) -> bool:
    raw = path.read_bytes().replace(b"\\n", b"\n")
    if not in_pem:
        return _shown(raw, secret)
    # Line breaks stand inside a PEM's base64.
    return _shown(raw.replace(b"\n", b""), secret)


def test_a_support_bundle_shows_no_secret_and_no_record(ran: Ran) -> None:
    with zipfile.ZipFile(ran.away / "site.zip") as archive:
        everything = b"".join(archive.read(name) for name in archive.namelist())
    assert b"site_labels.wifi_password" in everything, "settings of the hub are in it"
    assert [name for name, secret in ran.secrets().items() if _shown(everything, secret)] == []
    assert VALUE.encode() not in everything


def test_a_thief_of_a_backup_reads_records_in_the_lake_only_and_no_secret(ran: Ran) -> None:
    assert {path.split("/", 1)[0] for path in files_with(ran.backup, VALUE.encode())} == {"lake"}
    for name, secret in ran.secrets().items():
        in_pem = "TLS" in name or "CA" in name
        assert not [path for path in every_file(ran.backup) if _holds(path, secret, in_pem)], name


def test_after_a_stop_a_thief_of_the_sites_folder_reads_no_delivered_record(ran: Ran) -> None:
    assert files_with(ran.site.state, VALUE.encode()) == set()


def test_a_thief_of_the_hubs_folder_reads_records_in_the_lake_only(ran: Ran) -> None:
    assert {path.split("/", 1)[0] for path in files_with(ran.hub.data, VALUE.encode())} <= {"lake"}
    tables = [pq.read_table(path) for path in (ran.hub.data / "lake").rglob("*.parquet")]
    assert any(VALUE in str(table.to_pydict()) for table in tables)


def test_everything_that_agent_and_hub_made_is_their_users_only_even_with_umask_0(ran: Ran) -> None:
    for top in (ran.site.state, ran.hub.data, ran.away):
        assert top.stat().st_mode & 0o077 == 0, top
        open_to_others = {
            str(path.relative_to(top)): oct(path.lstat().st_mode & 0o777)
            for path in top.rglob("*")
            if path.lstat().st_mode & 0o077
        }
        assert open_to_others == {}


def test_every_key_file_is_0600_and_its_folder_0700(ran: Ran) -> None:
    for folder in (ran.site.state / "identity", ran.hub.data / "keys"):
        assert folder.stat().st_mode & 0o777 == 0o700
        assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    assert (ran.hub.data / "hub.toml").stat().st_mode & 0o777 == 0o600
    assert (ran.hub.data / "hub.db").stat().st_mode & 0o777 == 0o600
