"""Alerts as an operator meets them: raised, told to a real HTTP server, taken care of on the command line, cleared."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
from typing import Any, Final

import apsw

from tests.acceptance.commands import until
from tests.acceptance.conftest import MakeSite
from tests.acceptance.hub import Hub
from tests.acceptance.settled import assert_settled
from tests.acceptance.site import READINGS
from tests.hub.notify.receiver import Receiver, Told, receiving

SECRET: Final = "a secret of enough characters"
STANDING: Final = 10
_SETTINGS: Final = """
[completeness]
silent_after = "4 s"

[alerts]
every = "1 s"
grace = "0 s"

[[alert]]
kind = "site-silent"
clear_after = "1 s"

[[alert]]
kind = "gap"
after = "1 s"
clear_after = "1 s"

[[webhook]]
name = "ops"
url = "http://127.0.0.1:{port}/alerts"
secret = "{secret}"
"""


def test_a_silent_site_and_a_gap_are_told_taken_care_of_and_cleared(own_hub: Hub, sites: MakeSite) -> None:
    with receiving() as receiver:
        # The receiver is not well at first: what it is told comes again.
        receiver.answers = [(503, {}, b"")]
        own_hub.stop()
        with (own_hub.data / "hub.toml").open("a") as settings:
            settings.write(_SETTINGS.format(port=receiver.port, secret=SECRET))
        own_hub.start()
        assert own_hub.run("alerts", "list", "--check").code == 0
        site = sites(own_hub)
        site.must_post(50)
        until("it is delivered", lambda: site.status()["buffer"]["pending"] == 0)

        site.kill()
        number = _raised(own_hub, receiver, "site-silent", site.name)
        said = own_hub.do("alerts", "ack", number, "--note", "on my way", "--by", "ann").out
        assert "ann" in said
        until("it is told who takes care", lambda: bool(_told(receiver, "acknowledged", "site-silent")))
        assert _told(receiver, "acknowledged")[0]["note"] == "on my way"
        again = own_hub.run("alerts", "ack", number)
        assert (again.code, "ann" in again.err) == (6, True)
        assert own_hub.run("alerts", "list", "--check").code == 0
        site.start()
        _cleared(own_hub, receiver, number)
        story = own_hub.do("alerts", "show", number, "--json").json
        assert [event["change"] for event in story["events"]] == ["raised", "acknowledged", "cleared"]
        assert story["events"][1]["text"] == "on my way"

        # The hub loses what it stored while the site is away; once it is back, it delivers it again.
        site.must_post(20)
        assert_settled(own_hub, site)
        site.stop()
        own_hub.stop()
        _forget_what_is_stored(own_hub)
        own_hub.start()
        number = _raised(own_hub, receiver, "gap", site.name)
        shown = own_hub.do("alerts", "show", number).out
        assert READINGS in shown
        assert "docs/runbooks/gap.md" in shown
        site.start()
        _cleared(own_hub, receiver, number)
        assert own_hub.run("completeness", "--check").code == 0
    for told in receiver.told:
        _assert_signed(told)
    assert SECRET not in own_hub.daemon.said()


def _forget_what_is_stored(hub: Hub) -> None:
    with contextlib.closing(apsw.Connection(str(hub.data / "hub.db"))) as connection:
        connection.execute("DELETE FROM intervals WHERE kind = 'stored'")
        connection.execute("UPDATE accounts SET stored_count = 0")
        connection.execute("DELETE FROM batches")


def _raised(hub: Hub, receiver: Receiver, kind: str, site: str) -> int:
    """The number of the alert, once it stands and was told."""
    until(f"{kind} is told", lambda: bool(_told(receiver, "raised", kind)))
    [alert] = [each for each in hub.do("alerts", "list", "--json").json if each["kind"] == kind]
    assert (alert["site"], alert["state"]) == (site, "raised")
    assert hub.run("alerts", "list", "--check").code == STANDING
    status, body = hub.request("GET", f"/v1/alerts/{alert['id']}")
    assert (status, json.loads(body)["alert"]["text"]) == (200, alert["text"])
    return int(alert["id"])


def _cleared(hub: Hub, receiver: Receiver, number: int) -> None:
    until("the end is told", lambda: number in [each["id"] for each in _told(receiver, "cleared")])
    assert hub.do("alerts", "show", number, "--json").json["alert"]["state"] == "cleared"


def _told(receiver: Receiver, change: str, kind: str = "") -> list[dict[str, Any]]:
    alerts = [alert for told in receiver.told for alert in json.loads(told.body)["alerts"]]
    return [alert for alert in alerts if alert["change"] == change and kind in ("", alert["kind"])]


def _assert_signed(told: Told) -> None:
    signed = f"{told.headers['webhook-id']}.{told.headers['webhook-timestamp']}.".encode() + told.body
    code = base64.b64encode(hmac.new(SECRET.encode(), signed, hashlib.sha256).digest()).decode()
    assert told.headers["webhook-signature"] == f"v1,{code}"
