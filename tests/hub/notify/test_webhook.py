"""A webhook against a real HTTP server: signed, verified, bounded, and never led elsewhere."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import socket
import ssl
from pathlib import Path

import pytest

from farshore_hub.notify.addresses import addresses_of, is_forbidden
from farshore_hub.notify.channel import NotDelivered
from farshore_hub.notify.signing import signed_headers
from farshore_hub.notify.webhook import Webhook
from farshore_hub.store.messages import Message
from tests.contracts.hub_world import StoppedClock
from tests.hub.notify.certificates import make_certificate
from tests.hub.notify.receiver import receiving

SECRET = "a secret of enough characters"
MESSAGE = Message(1, "webhook test", "key-of-this-message", json.dumps({"alerts": [{"text": "é"}]}), 0, 0)


def webhook(url: str, *, tls: ssl.SSLContext | None = None, timeout_s: float = 30) -> Webhook:
    return Webhook("webhook test", url, SECRET, timeout_s, tls, StoppedClock())


async def why(hook: Webhook) -> str:
    with pytest.raises(NotDelivered) as caught:
        await hook.send(MESSAGE)
    assert SECRET not in str(caught.value)
    return str(caught.value)


async def test_what_arrives_is_signed_and_names_its_key() -> None:
    with receiving() as receiver:
        await webhook(f"http://127.0.0.1:{receiver.port}/hook?team=a").send(MESSAGE)
    [told] = receiver.told
    assert (told.path, told.body) == ("/hook?team=a", MESSAGE.body.encode())
    headers = told.headers
    assert headers["webhook-id"] == MESSAGE.key
    assert headers["webhook-timestamp"] == str(StoppedClock().now_us() // 1_000_000)
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + told.body
    code = base64.b64encode(hmac.new(SECRET.encode(), signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{code}"
    assert headers["content-type"] == "application/json"


def test_the_signature_is_that_of_standard_webhooks() -> None:
    """The example of the specification's own libraries."""
    secret, key, body = (
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        b'{"test": 2432232314}',
    )
    headers = dict(signed_headers(secret, key, 1614265330, body))
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


async def test_any_success_is_one_and_its_body_is_left_alone() -> None:
    with receiving() as receiver:
        receiver.answers = [(204, {}, b""), (200, {}, b"x" * 3_000_000)]
        for _ in range(2):
            await webhook(f"http://127.0.0.1:{receiver.port}/").send(MESSAGE)
    assert len(receiver.told) == 2


@pytest.mark.parametrize(
    ("status", "is_refusal"), [(500, False), (404, False), (401, False), (429, False), (400, True), (413, True)]
)
async def test_a_refusal_is_told_from_a_receiver_that_is_not_well(status: int, is_refusal: bool) -> None:
    with receiving() as receiver:
        receiver.answers = [(status, {"retry-after": "77"}, b"no")]
        with pytest.raises(NotDelivered, match=str(status)) as caught:
            await webhook(f"http://127.0.0.1:{receiver.port}/").send(MESSAGE)
    assert (caught.value.is_refusal, caught.value.retry_after_s) == (is_refusal, 77)


async def test_no_redirect_is_followed() -> None:
    with receiving() as elsewhere, receiving() as receiver:
        receiver.answers = [(307, {"location": f"http://127.0.0.1:{elsewhere.port}/"}, b"")]
        assert "redirects are not followed" in await why(webhook(f"http://127.0.0.1:{receiver.port}/"))
    assert (len(receiver.told), elsewhere.told) == (1, [])


async def test_a_certificate_that_is_not_trusted_ends_it(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path)
    with receiving(certificate) as receiver:
        url = f"https://localhost:{receiver.port}/"
        assert "not trusted" in await why(webhook(url, tls=ssl.create_default_context()))
        assert receiver.told == []
        await webhook(url, tls=ssl.create_default_context(cafile=certificate)).send(MESSAGE)
    assert len(receiver.told) == 1


async def test_a_certificate_for_another_name_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = make_certificate(tmp_path)

    async def here(_host: str, _port: int) -> list[str]:
        return ["127.0.0.1"]

    monkeypatch.setattr("farshore_hub.notify.webhook.addresses_of", here)
    with receiving(certificate) as receiver:
        trusted = ssl.create_default_context(cafile=certificate)
        assert "not trusted" in await why(webhook(f"https://alerts.example.org:{receiver.port}/", tls=trusted))
        await webhook(f"https://localhost:{receiver.port}/", tls=trusted).send(MESSAGE)
    assert len(receiver.told) == 1


async def test_a_receiver_that_does_not_answer_is_left_in_time() -> None:
    with receiving() as receiver:
        receiver.holds.clear()
        assert "no answer within" in await why(webhook(f"http://127.0.0.1:{receiver.port}/", timeout_s=0.2))
        receiver.holds.set()


@pytest.mark.parametrize("said", [b"", b"hello\r\n\r\n", b"HTTP/1.1 200 OK\r\nx: " + b"y" * 200_000])
async def test_what_does_not_speak_http_is_no_receiver(said: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        assert "does not speak HTTP" in await why(webhook(f"http://127.0.0.1:{port}/"))


async def test_nobody_there_is_said() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        assert "cannot be reached" in await why(webhook(f"http://127.0.0.1:{taken.getsockname()[1]}/"))
    assert "is not found" in await why(webhook("https://no-such-host.invalid/"))


@pytest.mark.parametrize(
    ("address", "forbidden"),
    [
        ("169.254.169.254", True),
        ("fe80::1%eth0", True),
        ("::ffff:169.254.169.254", True),
        ("0.0.0.0", True),
        ("::", True),
        ("224.0.0.1", True),
        ("ff02::1", True),
        ("255.255.255.255", True),
        ("127.0.0.1", False),
        ("::1", False),
        ("10.1.2.3", False),
        ("192.168.1.1", False),
        ("fd00::1", False),
        ("93.184.216.34", False),
    ],
)
def test_which_addresses_may_be_connected_to(address: str, forbidden: bool) -> None:
    assert is_forbidden(address) is forbidden


async def test_a_name_that_leads_to_a_forbidden_address_is_not_connected_to() -> None:
    with pytest.raises(NotDelivered, match="where no receiver of alerts can be"):
        await addresses_of("169.254.169.254", 80)
    assert "no receiver" in await why(webhook("https://[fe80::1]/"))


def test_a_webhook_tells_nothing_of_itself() -> None:
    hook = webhook("https://hooks.example.org/T000/secret-path")
    assert "secret" not in repr(hook)
