"""Records that a site delivers over TLS are answered for, and are there for people at once."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pyarrow.parquet as pq
import pytest

from farshore_hub.fleet.api_tokens import Role
from farshore_hub.lake.reader import LakeReader
from farshore_hub.ledger.thinning import DAY_US
from farshore_hub.store.dialect import upsert
from farshore_hub.store.engine import writing
from farshore_hub.store.schema import hub_meta
from farshore_hub.store.thinning import Progress
from farshore_hub.work.lanes import MAX_LANE_CALLS
from farshore_protocol.messages import Answer
from farshore_protocol.parcel import ANSWER_TYPE, PARCEL_TYPE
from tests.hub.web.parcels import Sender
from tests.hub.web.running import JSON, TIMEOUT_S, Member, RunningHub
from tests.processes import until

RECORDS = [{"ts": f"2026-11-23T10:00:0{n}Z", "temp": 20 + n / 4, "on": n % 2 == 0} for n in range(5)]


def deliver(hub: RunningHub, member: Member, sender: Sender, parcel: bytes) -> Answer:
    reply = hub.ask("POST", "/v1/parcels", parcel, kind=PARCEL_TYPE, context=member.context)
    assert (reply.status, reply.headers["content-type"]) == (200, ANSWER_TYPE)
    return sender.read_answer(reply.body)


def delivered(hub: RunningHub, name: str, stream: str) -> Sender:
    """A site that has delivered five records and claims to have given out eight sequences, the last three nowhere."""
    member = hub.join(name)
    sender = Sender(member.keys, member.membership, stream)
    deliver(hub, member, sender, sender.parcel(RECORDS, head=8))
    return sender


def ask_json(hub: RunningHub, path: str) -> Any:  # noqa: ANN401
    reply = hub.ask("GET", path, role=Role.VIEWER)
    assert reply.status == 200, reply
    return reply.json


def test_a_delivered_parcel_is_answered_with_what_is_stored(hub: RunningHub) -> None:
    member = hub.join("one")
    sender = Sender(member.keys, member.membership)
    parcel = sender.parcel(RECORDS)
    answers = [deliver(hub, member, sender, parcel) for _ in range(2)]
    assert [answer.accounts[0].stored for answer in answers] == [[1, 5], [1, 5]]
    assert answers[0].hub == hub.hub.keys.hub
    assert sender.epoch in answers[0].held


def test_a_parcel_of_another_site_is_refused(hub: RunningHub) -> None:
    member, other = hub.join("two"), hub.join("three")
    parcel = Sender(member.keys, member.membership).parcel(RECORDS)
    reply = hub.ask("POST", "/v1/parcels", parcel, kind=PARCEL_TYPE, context=other.context)
    assert (reply.status, reply.problem) == (403, "forbidden")


def test_completeness_names_what_is_stored_and_what_is_nowhere(hub: RunningHub) -> None:
    sender = delivered(hub, "gappy", "pressure")
    line = ask_json(hub, "/v1/completeness?site=gappy")["streams"][0]
    counts = ("produced", "stored", "pending", "shed", "quarantined", "gap")
    assert [line[count] for count in counts] == [8, 5, 0, 0, 0, 3]
    assert (line["site"], line["stream"], line["state"], line["gaps"]) == ("gappy", "pressure", "gap", [])
    named = ask_json(hub, "/v1/completeness?stream=pressure&gaps=true")["streams"][0]["gaps"]
    assert named == [{"incarnation": sender.incarnation.hex(), "stream": "pressure", "first": 6, "last": 8}]


@pytest.mark.parametrize(
    ("question", "status"),
    [("site=nobody", 404), ("stream=nothing", 404), ("site=A", 422), ("stream=a/b", 422), ("gaps=perhaps", 422)],
)
def test_completeness_of_what_is_not_there_is_no_empty_answer(hub: RunningHub, question: str, status: int) -> None:
    reply = hub.ask("GET", f"/v1/completeness?{question}", role=Role.VIEWER)
    assert (reply.status, bool(reply.problem)) == (status, True)


def test_what_was_delivered_can_be_asked_for_with_sql(hub: RunningHub) -> None:
    delivered(hub, "asked", "flow")
    body = json.dumps({"sql": "SELECT count(*) AS n, max(temp) AS warmest, sum(1) AS s FROM flow"}).encode()
    reply = hub.ask("POST", "/v1/query", body, kind=JSON, role=Role.VIEWER)
    assert reply.json == {"columns": ["n", "warmest", "s"], "rows": [[5, 21.0, 5]]}


@pytest.mark.parametrize(
    "sql",
    [
        "",
        "SELEC",
        "DROP TABLE x",
        "SELECT 1; SELECT 2",
        "COPY (SELECT 1) TO '/tmp/x'",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM nothing",
        "ATTACH 'x.db'",
    ],
)
def test_sql_that_is_wrong_or_reaches_elsewhere_is_refused(hub: RunningHub, sql: str) -> None:
    reply = hub.ask("POST", "/v1/query", json.dumps({"sql": sql}).encode(), kind=JSON, role=Role.VIEWER)
    assert reply.status in {404, 422}
    assert reply.problem


def test_values_that_json_does_not_have_are_told_as_text(hub: RunningHub) -> None:
    sql = "SELECT 'nan'::DOUBLE AS n, '2026-11-23'::DATE AS d, '\\x01'::BLOB AS b, 1.50::DECIMAL(5,2) AS m, NULL AS z"
    reply = hub.ask("POST", "/v1/query", json.dumps({"sql": sql}).encode(), kind=JSON, role=Role.VIEWER)
    assert reply.json["rows"] == [["nan", "2026-11-23", "01", "1.50", None]]


def test_a_stream_is_exported_record_for_record(hub: RunningHub) -> None:
    delivered(hub, "exported", "level")
    ndjson = hub.ask("GET", "/v1/streams/level/records", role=Role.VIEWER)
    assert ndjson.headers["content-type"] == "application/x-ndjson"
    assert [json.loads(line) for line in ndjson.body.splitlines()] == RECORDS
    table = hub.ask("GET", "/v1/streams/level/records?format=csv&site=exported", role=Role.VIEWER)
    assert [row["temp"] for row in csv.DictReader(io.StringIO(table.body.decode()))] == [
        str(record["temp"]).removesuffix(".0") for record in RECORDS
    ]
    parquet = hub.ask("GET", "/v1/streams/level/records?format=parquet", role=Role.VIEWER)
    assert pq.read_table(io.BytesIO(parquet.body)).num_rows == len(RECORDS)


def test_an_export_ends_when_nobody_takes_it_any_more(hub: RunningHub) -> None:
    """Twenty megabytes: more than the way to the client holds."""
    member = hub.join("patient")
    sender = Sender(member.keys, member.membership, "wide")
    for start in range(0, 20_000, 2_000):
        records = [{"n": n, "text": "x" * 1_000} for n in range(start, start + 2_000)]
        answer = deliver(hub, member, sender, sender.parcel(records, first=start + 1))
        assert answer.accounts[0].stored[-1] == start + 2_000
    spill = hub.hub.place.spill
    with contextlib.closing(hub.connection()) as connection:
        headers = {"Authorization": f"Bearer {hub.tokens[Role.VIEWER]}"}
        connection.request("GET", "/v1/streams/wide/records", headers=headers)
        assert connection.getresponse().read(100_000).startswith(b'{"n":0,')
        assert list(spill.iterdir())
    until("its folder is gone, and so its process", lambda: not list(spill.iterdir()))


def test_exports_that_are_sorted_hold_up_neither_a_query_nor_a_report(
    hub: RunningHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as it takes to make an export's first piece, it holds a thread; here, until a query was answered."""
    is_answered = threading.Event()

    class Sorting:
        def __iter__(self) -> Iterator[bytes]:
            assert is_answered.wait(TIMEOUT_S)
            yield b"{}\n"

        def close(self) -> None:
            pass

    monkeypatch.setattr(LakeReader, "export", lambda *_args: Sorting())
    with ThreadPoolExecutor(MAX_LANE_CALLS + 1) as pool:
        path = "/v1/streams/sorted/records"
        exports = [pool.submit(hub.ask, "GET", path, role=Role.VIEWER) for _ in range(MAX_LANE_CALLS + 1)]
        until("no export more is taken on", lambda: any(each.done() for each in exports))
        question = json.dumps({"sql": "SELECT 1 AS one"}).encode()
        answered = hub.ask("POST", "/v1/query", question, kind=JSON, role=Role.VIEWER)
        report = hub.ask("GET", "/v1/completeness", role=Role.VIEWER)
        is_answered.set()
    assert answered.json["rows"] == [[1]]
    assert report.status == 200
    *made, refused = sorted((each.result() for each in exports), key=lambda reply: reply.status)
    assert {reply.body for reply in made} == {b"{}\n"}
    assert (refused.problem, refused.headers["retry-after"]) == ("busy", "5")


def test_an_export_of_what_is_not_there_is_no_empty_answer(hub: RunningHub) -> None:
    assert hub.ask("GET", "/v1/streams/nothing/records", role=Role.VIEWER).status == 404
    delivered(hub, "one-of-two", "shared")
    assert hub.ask("GET", "/v1/streams/shared/records?site=nobody", role=Role.VIEWER).status == 404
    assert hub.ask("GET", "/v1/streams/NOT/records", role=Role.VIEWER).status == 422
    assert hub.ask("GET", "/v1/streams/level/records?format=xml", role=Role.VIEWER).status == 422


def test_the_site_list_says_when_a_site_was_heard(hub: RunningHub) -> None:
    delivered(hub, "heard", "noise")
    sites = {site["name"]: site for site in ask_json(hub, "/v1/sites")}
    assert (sites["heard"]["state"], sites["heard"]["agent_version"]) == ("active", "test")
    assert sites["heard"]["last_seen_us"]
    assert "signing_key" not in sites["heard"]


def test_the_metrics_count_what_was_received_and_what_is_missing(hub: RunningHub) -> None:
    delivered(hub, "metered", "volts")
    text = hub.ask("GET", "/metrics", role=Role.VIEWER).body.decode()
    figures = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert figures['farshore_hub_site_gap_records{site="metered"}'] == "3.0"
    assert figures['farshore_hub_site_stored_records{site="metered"}'] == "5.0"
    assert float(figures["farshore_hub_records_stored_total"]) >= 5
    assert float(figures['farshore_hub_batches_total{fate="fresh"}']) >= 1
    assert float(figures["farshore_hub_commit_seconds_count"]) >= 1
    assert (figures["farshore_hub_sites_over_quota"], figures["farshore_hub_over_quota_total"]) == ("0.0", "0.0")


def test_a_hub_is_ready_while_its_database_and_its_lake_writer_are(hub: RunningHub, monkeypatch: Any) -> None:  # noqa: ANN401
    assert hub.ask("GET", "/readyz").status == 200
    monkeypatch.setattr("farshore_hub.behind.schema_fault", lambda _: "the database is at version none")
    reply = hub.ask("GET", "/readyz")
    assert (reply.status, reply.problem) == (503, "not-ready")
    assert "version none" in reply.json["detail"]


def test_of_long_ago_it_is_said_which_moments_are_known(hub: RunningHub) -> None:
    delivered(hub, "long-ago", "boiler")
    with writing(hub.hub.engine) as connection:
        value = msgspec.msgpack.encode(Progress(until_us=3 * DAY_US))
        upsert(connection, hub_meta, [{"key": "claims", "value": value}], ["value"])
    assert hub.ask("GET", f"/v1/completeness?at={2 * DAY_US}", role=Role.VIEWER).status == 200
    refused = hub.ask("GET", f"/v1/completeness?at={2 * DAY_US + 5}", role=Role.VIEWER)
    assert refused.status == 422
    assert "1970-01-03T00:00Z" in refused.body.decode()
