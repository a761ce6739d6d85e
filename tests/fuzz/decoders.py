"""The decoders with the bounds that ship; each imports only what it needs, so that its own memory counts."""

# ruff: noqa: PLC0415 - what is imported is part of what is measured
from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

NOW_US: Final = 1_795_422_600_000_000


def _policy() -> Any:  # noqa: ANN401
    from farshore_agent.settings.streams import StreamPolicies, StreamSettings

    return StreamPolicies(StreamSettings(time_field=None)).of("boiler")


def ndjson(data: bytes) -> None:
    from farshore_agent.collect.admit import TooMuch
    from farshore_agent.collect.texts import admit_ndjson

    with suppress(TooMuch):
        admit_ndjson(data, _policy(), NOW_US)


def json_array(data: bytes) -> None:
    from farshore_agent.collect.admit import TooMuch
    from farshore_agent.collect.texts import admit_json

    with suppress(TooMuch):
        admit_json(data, _policy(), NOW_US)


def csv_file(data: bytes) -> None:
    """As an input reads it: in pieces, however long the file is."""
    from farshore_agent.collect.csvrows import CsvFormat

    _file(CsvFormat(), data)


def text_file(data: bytes) -> None:
    from farshore_agent.collect.formats import read_text

    _file(read_text, data)


def _file(read: Any, data: bytes) -> None:  # noqa: ANN401
    from farshore_agent.collect.feed import PIECE_BYTES
    from farshore_agent.collect.formats import State, UnusableFile, read_piece

    state, rest = State(), b""
    with suppress(UnusableFile):
        for at in range(0, len(data), PIECE_BYTES):
            rest += data[at : at + PIECE_BYTES]
            while rest:
                piece = read_piece(read, rest, state, _policy(), NOW_US, final=at + PIECE_BYTES >= len(data))
                if not piece.consumed:
                    break
                state, rest = piece.state, rest[piece.consumed :]


def gzip_body(data: bytes) -> None:
    _inflate(data, "gzip")


def zstd_body(data: bytes) -> None:
    _inflate(data, "zstd")


def _inflate(data: bytes, encoding: str) -> None:
    from farshore_agent.net.inflate import inflate
    from farshore_agent.net.messages import HttpError

    with suppress(HttpError):
        inflate(data, encoding, max_bytes=32 * 2**20)


def http_request(data: bytes) -> None:
    """One connection, whose requests are read and not yet answered."""
    from farshore_agent.net.limits import ServerLimits
    from farshore_agent.net.messages import HttpError
    from farshore_agent.net.reading import RequestReader

    limits = ServerLimits()
    held = 0

    def hold(count: int) -> bool:
        nonlocal held
        held += count
        return held <= limits.max_held_bytes

    reader = RequestReader(limits, hold)
    with suppress(HttpError):
        for at in range(0, len(data), 256 * 1024):
            reader.feed(data[at : at + 256 * 1024])


def http_answer(data: bytes) -> None:
    """A hub, or somebody in its place, answers."""
    import asyncio

    from farshore_agent.net.conversation import Conversation
    from farshore_agent.net.failures import ClientError
    from farshore_agent.net.limits import ClientLimits
    from tests.fuzz.transport import MemoryTransport

    async def ask() -> None:
        connection, transport = Conversation("hub", ClientLimits()), MemoryTransport()
        connection.connection_made(transport)
        asked = asyncio.ensure_future(connection.ask(b"", b""))
        await asyncio.sleep(0)
        for at in range(0, len(data), 256 * 1024):
            if not transport.closing:
                connection.data_received(data[at : at + 256 * 1024])
        connection.connection_lost(None)
        with suppress(ClientError):
            await asked

    asyncio.run(ask())


def batch_body(data: bytes) -> None:
    """As the hub opens what a site has sealed."""
    from farshore_hub.receive.vectors import ARRAYS
    from farshore_protocol.columns import DecodeError, decode

    with suppress(DecodeError):
        decode(data, vectors=ARRAYS)


def parcel(data: bytes) -> None:
    from farshore_protocol.errors import ProtocolError
    from farshore_protocol.parcel import parse_parcel

    with suppress(ProtocolError):
        parse_parcel(data)


def statement(data: bytes) -> None:
    """A statement that a hostile site has signed, up to its checked claims."""
    from farshore_protocol.errors import ProtocolError
    from farshore_protocol.messages import Parcel
    from farshore_protocol.parcel import open_statement
    from farshore_protocol.ranges import RangeSet
    from tests.protocol import peers

    signature = peers.SITE_SIGNER.sign(b"farshore/statement/v1\0" + data)
    with suppress(ProtocolError):
        read = open_statement(Parcel(peers.SITE, data, signature, [], []), peers.SITE_SIGNER.public_key())
        _kept = [RangeSet.from_wire(claim.held) for claim in read.claims]


def answer(data: bytes) -> None:
    """An answer that a hub has signed which went wrong."""
    from farshore_protocol import messages, wire
    from farshore_protocol.errors import ProtocolError
    from farshore_protocol.parcel import open_answer
    from tests.protocol import peers

    signature = peers.HUB_SIGNER.sign(b"farshore/answer/v1\0" + data)
    signed = wire.pack(messages.SignedAnswer(data, peers.HUB_SIGNING_ID, signature))
    with suppress(ProtocolError):
        open_answer(b"FSA\x01" + signed, {peers.HUB_SIGNING_ID: peers.HUB_SIGNER.public_key()})


def membership(data: bytes) -> None:
    from farshore_protocol.enrolment import read_membership
    from farshore_protocol.errors import ProtocolError

    with suppress(ProtocolError):
        read_membership(data)


def join_token(data: bytes) -> None:
    from farshore_protocol.enrolment import read_token
    from farshore_protocol.errors import ProtocolError

    with suppress(ProtocolError):
        read_token(data.decode(errors="replace"))


def certificate_request(data: bytes) -> None:
    from farshore_hub.errors import Invalid
    from farshore_hub.fleet.ca import read_csr

    with suppress(Invalid):
        read_csr(data.decode(errors="replace"))


def agent_settings(data: bytes) -> None:
    from farshore_agent.errors import SettingsError
    from farshore_agent.settings.load import load

    with suppress(SettingsError):
        load(_path(data))


def hub_settings(data: bytes) -> None:
    from farshore_hub.errors import HubError
    from farshore_hub.settings import FILE, load

    with suppress(HubError):
        path = _path(data, FILE)
        load(path.parent)


def identity_file(data: bytes) -> None:
    from farshore_agent.errors import AgentError
    from farshore_agent.identity.identity import FILE, Identity

    with suppress(AgentError):
        Identity.load(_path(data, FILE).parent)


def status_file(data: bytes) -> None:
    from farshore_agent import status

    status.read(_path(data, status.FILE).parent)


def _path(data: bytes, name: str = "settings.toml") -> Any:  # noqa: ANN401
    import tempfile
    from pathlib import Path

    path = Path(tempfile.mkdtemp()) / name
    path.write_bytes(data)
    return path


DECODERS: Final[dict[str, Callable[[bytes], None]]] = {
    made.__name__: made
    for made in (
        ndjson,
        json_array,
        csv_file,
        text_file,
        gzip_body,
        zstd_body,
        http_request,
        http_answer,
        batch_body,
        parcel,
        statement,
        answer,
        membership,
        join_token,
        certificate_request,
        agent_settings,
        hub_settings,
        identity_file,
        status_file,
    )
}
