"""The HTTP door on a real socket: what a producer is told, and that it is true."""

from __future__ import annotations

import asyncio
import gzip
import http.client
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import zstandard

from farshore_agent.buffer.model import Admitted, Appended, Checkpoint
from farshore_agent.collect.http import HttpInput, HttpSettings, NoListener
from farshore_agent.errors import BufferBroken, Stopping
from tests.agent.collect.fake_buffer import FakeBuffer
from tests.agent.collect.site import context_of

GOOD = b'{"ts": 1795422600, "v": 1}'


async def metrics() -> str:
    return "farshore_pending_records 3\n"


@dataclass
class Door:
    """An open door with a buffer behind it."""

    input: HttpInput
    buffer: FakeBuffer

    async def ask(
        self, method: str, path: str, body: bytes = b"", **headers: str
    ) -> tuple[int, dict[str, str], dict[str, Any] | str]:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return await asyncio.to_thread(self._ask, method, path, body, names)

    async def post(self, body: bytes, **headers: str) -> tuple[int, Any]:
        status, _, document = await self.ask("POST", "/v1/streams/boiler", body, **headers)
        return status, document

    def _ask(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, dict[str, str], Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.input.port or 0, timeout=10)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            content = answer.read()
            is_json = "json" in answer.headers["content-type"]
            return answer.status, dict(answer.headers), json.loads(content) if is_json else content.decode()
        finally:
            connection.close()


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    buffer = FakeBuffer()
    settings = HttpSettings(type="http", listen="127.0.0.1:0", max_body_bytes=1024 * 1024)
    context = replace(context_of(buffer), metrics=metrics)
    door = Door(HttpInput("api", settings, context), buffer)
    running = asyncio.create_task(door.input.run())
    await door.input.listening.wait()
    yield door
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_lines_are_stored_and_their_sequences_answered(door: Door) -> None:
    assert await door.post(GOOD + b"\n" + GOOD + b"\n") == (
        200,
        {
            "stream": "boiler",
            "appended": 2,
            "first": 1,
            "last": 2,
            "incarnation": "3132333435363738",
            "refused": [],
            "refused_count": 0,
        },
    )
    assert door.buffer.records == {"boiler": [{"ts": 1795422600, "v": 1}] * 2}


async def test_a_json_array_and_a_single_object_are_taken_too(door: Door) -> None:
    for body, count in ((b"[" + GOOD + b"," + GOOD + b"]", 2), (GOOD, 1)):
        status, document = await door.post(body, content_type="application/json; charset=utf-8")
        assert (status, document["appended"]) == (200, count)


@pytest.mark.parametrize("kind", ["", "application/x-www-form-urlencoded", "application/octet-stream"])
async def test_an_array_is_taken_from_a_program_that_does_not_say_what_it_sends(door: Door, kind: str) -> None:
    status, document = await door.post(b"\n [" + GOOD + b", 5,\n" + GOOD + b"]", content_type=kind)
    assert (status, document["appended"]) == (200, 2)
    assert document["refused"] == [{"line": 2, "field": None, "why": "a record is an object, not a number"}]


async def test_what_is_said_to_be_lines_is_read_as_lines(door: Door) -> None:
    status, document = await door.post(b"[1]\n" + GOOD, content_type="application/x-ndjson")
    assert (status, document["appended"], document["refused_count"]) == (200, 1, 1)


@pytest.mark.parametrize(
    ("encoding", "pack"), [("gzip", gzip.compress), ("zstd", zstandard.ZstdCompressor().compress), ("identity", bytes)]
)
async def test_compressed_bodies_are_taken(door: Door, encoding: str, pack: Callable[[bytes], bytes]) -> None:
    status, document = await door.post(pack(GOOD + b"\n" + GOOD), content_encoding=encoding)
    assert (status, document["appended"]) == (200, 2)


async def test_a_refused_record_is_named_and_the_others_are_stored(door: Door) -> None:
    status, document = await door.post(b"\n".join([GOOD, b'{"v": 1}', GOOD, b"oops", GOOD]))
    assert (status, document["appended"]) == (200, 3)
    assert document["refused"] == [
        {"line": 2, "field": "ts", "why": "has no event time"},
        {"line": 4, "field": None, "why": "not JSON: Expecting value at character 1"},
    ]
    assert [one.raw for one in door.buffer.refused["boiler"]] == ['{"v": 1}', "oops"]


async def test_when_all_are_refused_the_answer_is_a_problem_and_they_are_in_quarantine(door: Door) -> None:
    status, document = await door.post(b"one\ntwo\n")
    assert status == 422
    assert document["title"] == "every record was refused"
    assert [one["line"] for one in document["refused"]] == [1, 2]
    assert [one.raw for one in door.buffer.refused["boiler"]] == ["one", "two"]


async def test_an_answer_names_a_bounded_number_of_refusals_and_counts_all(door: Door) -> None:
    status, document = await door.post(b"x\n" * 5000)
    assert (status, document["refused_count"], len(document["refused"])) == (422, 5000, 1000)
    assert len(door.buffer.refused["boiler"]) == 5000


@pytest.mark.parametrize(
    ("body", "headers", "status", "text"),
    [
        (b"", {}, 400, "no records"),
        (b"\n \n", {}, 400, "no records"),
        (b"[]", {"content_type": "application/json"}, 400, "no records"),
        (GOOD, {"content_type": "text/csv"}, 415, "send application/x-ndjson"),
        (GOOD, {"content_encoding": "br"}, 415, "gzip, zstd"),
        (b"nonsense", {"content_encoding": "gzip"}, 400, "not gzip"),
        (gzip.compress(GOOD, mtime=0)[:-5], {"content_encoding": "gzip"}, 400, "ends too soon"),
        (b"a" * (1024 * 1024 + 1), {}, 413, "larger than 1048576 bytes"),
        (gzip.compress(bytes(64 * 1024 * 1024), mtime=0), {"content_encoding": "gzip"}, 413, "when inflated"),
        (b"\n" * 100_001, {}, 413, "at most 100000"),
        (GOOD, {"origin": "https://example.org"}, 403, "browser"),
    ],
)
async def test_what_holds_no_records_is_refused_with_a_reason(
    door: Door, body: bytes, headers: dict[str, str], status: int, text: str
) -> None:
    answered, document = await door.post(body, **headers)
    assert (answered, text in document["detail"]) == (status, True), document
    assert door.buffer.appends == 0


@pytest.mark.parametrize("name", ["Boiler", "a.quarantine", "%F0%9F%98%80", "a%2Fb", "-", "x" * 64, "..", "a%00b"])
async def test_a_name_that_no_stream_may_have_is_404_with_the_rule(door: Door, name: str) -> None:
    status, _, document = await door.ask("POST", f"/v1/streams/{name}", GOOD)
    assert status == 404
    assert isinstance(document, dict)
    assert door.buffer.appends == 0


async def test_a_full_buffer_is_507_and_says_when_to_come_back(door: Door) -> None:
    door.buffer.full_for = 1
    status, headers, document = await door.ask("POST", "/v1/streams/boiler", GOOD)
    assert (status, headers["retry-after"]) == (507, "5")
    assert isinstance(document, dict)
    assert document["detail"] == "no room (wait)"
    assert (await door.post(GOOD))[0] == 200


@pytest.mark.parametrize("error", [Stopping("going down"), BufferBroken("disk")])
async def test_an_agent_that_cannot_store_now_is_503(error: Exception) -> None:
    class Failing(FakeBuffer):
        async def append(self, stream: str, admitted: Admitted, checkpoint: Checkpoint | None = None) -> Appended:
            raise error

    settings = HttpSettings(type="http", listen="127.0.0.1:0")
    door = Door(HttpInput("api", settings, context_of(Failing())), FakeBuffer())
    running = asyncio.create_task(door.input.run())
    await door.input.listening.wait()
    status, headers, _ = await door.ask("POST", "/v1/streams/boiler", GOOD)
    assert (status, "retry-after" in headers) == (503, True)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_health_and_metrics_stand_beside_it(door: Door) -> None:
    assert (await door.ask("GET", "/healthz"))[::2] == (200, {"status": "ok"})
    status, headers, text = await door.ask("GET", "/metrics")
    assert (status, headers["content-type"].split(";")[0], text) == (200, "text/plain", "farshore_pending_records 3\n")


async def test_producers_side_by_side_lose_nothing(door: Door) -> None:
    async def produce(number: int) -> None:
        for step in range(10):
            status, _ = await door.post(b'{"ts": 1795422600, "n": %d}' % (number * 10 + step))
            assert status == 200

    await asyncio.gather(*(produce(number) for number in range(8)))
    assert sorted(record["n"] for record in door.buffer.records["boiler"]) == list(range(80))


async def test_an_address_that_is_taken_is_named_with_a_remedy(door: Door) -> None:
    settings = HttpSettings(type="http", listen=f"127.0.0.1:{door.input.port}")
    with pytest.raises(NoListener, match=r"inputs.api2.listen: 127.0.0.1:\d+: .*in use") as caught:
        await HttpInput("api2", settings, context_of(door.buffer)).run()
    assert "choose another address" in caught.value.remedy


async def test_the_door_opens_on_a_unix_socket(tmp_path: Path) -> None:
    settings = HttpSettings(type="http", listen=f"unix:{tmp_path}/door.sock")
    door = HttpInput("api", settings, context_of(FakeBuffer()))
    running = asyncio.create_task(door.run())
    await door.listening.wait()
    reader, writer = await asyncio.open_unix_connection(f"{tmp_path}/door.sock")
    writer.write(b"GET /healthz HTTP/1.1\r\nconnection: close\r\n\r\n")
    assert b"200 OK" in await reader.read()
    writer.close()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert not (tmp_path / "door.sock").exists()
