"""Orders and reports as they come and as a peer that went wrong signs them, layers of settings, schemas of sites."""

from __future__ import annotations

import functools
import json
import logging
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import zstandard
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from farshore_agent.errors import SettingsError
from farshore_agent.orders import state as orders_state
from farshore_agent.orders.intake import Refused, examine
from farshore_agent.orders.state import State
from farshore_agent.settings import layers as over_layers
from farshore_agent.settings.layers import LocalFile
from farshore_agent.settings.load import parse
from farshore_hub.orders.checking import problems_of
from farshore_hub.orders.layers import LayersInvalid, read_layers
from farshore_hub.orders.rendering import Attributes, Rendered, render, toml_of
from farshore_protocol import wire
from farshore_protocol.documents import Sealed, Signer
from farshore_protocol.enrolment import HubKey
from farshore_protocol.errors import ProtocolError
from farshore_protocol.limits import MAX_SETTINGS_DEPTH
from farshore_protocol.orders import (
    CommandReport,
    Introduction,
    Order,
    Outcome,
    Report,
    SettingsReport,
    open_order,
    open_report,
    pack_report,
    site_of_report,
)
from farshore_protocol.sealing import seal_to
from farshore_protocol.toml import read_toml
from tests.agent.orders import sites
from tests.fuzz.target import target
from tests.protocol import peers

_SECRET = "canary-1d0c"
_FLEET = b"""[layer]
probe_s = 30
[seal]
linger = "2 s"
max_records = 100
[inputs.door]
type = "http"
listen = "127.0.0.1:8080"
site = "${site.name} in ${labels.region}, $${plain}"
password = "${secret.door}"
"""
_GROUP = b'seal.linger = "3 s"\nlayer = { labels = { region = ["north", "south"] }, order = -1 }\n'
_SITE = Signer(b"sitesign", peers.SITE_SIGNER)
_HUB_KEY = HubKey(peers.HUB_SEALING.id, peers.HUB_SEALING.public_bytes())
_SITES = {_SITE.id: peers.SITE_SIGNER.public_key()}


@functools.cache
def _order() -> bytes:
    return sites.order(settings="[seal]\nlinger = '1 s'\n")


@functools.cache
def _report() -> bytes:
    schema = zstandard.ZstdCompressor().compress(json.dumps(_SCHEMA).encode())
    report = Report(
        hub=sites.HUB,
        site=sites.SITE,
        number=9,
        at_us=sites.NOW_US,
        agent_version="1.0",
        schema=bytes(16),
        settings=SettingsReport(7, 8, Outcome.REFUSED, ["seal: is wrong"]),
        command=CommandReport(6, done=True, text="done", data=b"bundle"),
        introduction=Introduction(HubKey(sites.SEALING.id, sites.SEALING.public_bytes()), schema, ["seal"]),
    )
    return pack_report(report, _SITE, _HUB_KEY)


def _inner(raw: bytes, key: Any, context: bytes) -> bytes:  # noqa: ANN401 - a sealing key
    """What is sealed in an order or a report."""
    envelope = msgspec.msgpack.decode(raw[4:], type=Sealed)
    opened: bytes = key.open(envelope.sealed, context + envelope.site.encode() + b"\0")
    return opened


def _signed(magic: bytes, plain: bytes, context: bytes, to: HubKey, signer: Signer) -> bytes:
    """Whatever bytes, as whoever has the key sends them."""
    bound = context + sites.SITE.encode() + b"\0"
    sealed = seal_to(to.public, plain, bound)
    return magic + wire.pack(Sealed(sites.SITE, to.id, signer.id, sealed, signer.key.sign(bound + sealed)))


@target(seeds=lambda: [_order()], max_bytes=2048)
def order(data: bytes) -> None:
    """An order as whoever brings it hands it over: the hub's own, byte for byte, or refused with a reason."""
    try:
        taken = examine(data, sites.PARTY, State(sites.HUB, sites.SITE), sites.NOW_US)
    except Refused as refused:
        assert str(refused)
        return
    assert taken == open_order(_order(), **_TO_THE_SITE), "a forged order is taken"


_TO_THE_SITE: Mapping[str, Any] = {
    "hub": sites.HUB,
    "site": sites.SITE,
    "key": sites.SEALING,
    "signers": sites.PARTY.signers,
}
_ORDER_CONTEXT = b"farshore/order/v1\0"
_REPORT_CONTEXT = b"farshore/report/v1\0"


@target(seeds=lambda: [_inner(_order(), sites.SEALING, _ORDER_CONTEXT)])
def order_signed(data: bytes) -> None:
    """What a hub that went wrong signs: an order to this site of one kind, whose settings are valid or refused."""
    raw = _signed(b"FSO\x01", data, _ORDER_CONTEXT, sites.PARTY.public_key, sites.HUB_SIGNER)
    try:
        taken = examine(raw, sites.PARTY, State(sites.HUB, sites.SITE), sites.NOW_US)
    except Refused as refused:
        assert str(refused)
        return
    assert (taken.hub, taken.site) == (sites.HUB, sites.SITE)
    assert (taken.desired is None) != (taken.command is None)
    assert wire.unpack(wire.decoder_of(Order), wire.pack(taken), what="order", max_bytes=2**20) == taken
    if taken.desired is not None:
        _put_over(taken.desired.settings)


@target(
    seeds=lambda: [
        _FLEET,
        b"seal.linger = '1 s'\n",
        ".".join("a" * 99).encode() + b" = 1",
        b"seal.linger=0x" + b"f" * 4000,
    ],
    max_bytes=8192,
)
def desired_settings(data: bytes) -> None:
    """The hub's settings over the site's own: in force, or every problem is named."""
    _put_over(data.decode(errors="replace"))


@functools.cache
def _local() -> LocalFile:
    text = "[orders]\naccept = ['seal', 'streams', 'inputs', 'forward']\n"
    return LocalFile(read_toml(text), "agent.toml", None, parse(text))


def _put_over(pushed: str) -> None:
    try:
        effective = over_layers.over(_local(), pushed, ["seal", "streams", "inputs", "forward"])
    except SettingsError as error:
        assert error.problems
        str(error).encode(errors="surrogateescape")
        return
    assert set(effective.pushed) <= {"seal", "streams", "inputs", "forward"}


@target(seeds=lambda: [_report()], max_bytes=4096)
def report(data: bytes) -> None:
    """A report as the broker brings it: the site's own, or refused."""
    try:
        assert site_of_report(data)
        read = _opened(data)
    except ProtocolError:
        return
    assert read == _opened(_report()), "a forged report is taken"


@target(seeds=lambda: [_inner(_report(), peers.HUB_SEALING, _REPORT_CONTEXT)])
def report_signed(data: bytes) -> None:
    """What a site that was taken over signs: of itself and within bounds, or refused."""
    raw = _signed(b"FSR\x01", data, _REPORT_CONTEXT, _HUB_KEY, _SITE)
    try:
        read = _opened(raw)
    except ProtocolError:
        return
    assert (read.hub, read.site) == (sites.HUB, sites.SITE)
    assert wire.unpack(wire.decoder_of(Report), wire.pack(read), what="report", max_bytes=2**20) == read


def _opened(raw: bytes) -> Report:
    signers: dict[bytes, Ed25519PublicKey] = _SITES
    return open_report(raw, hub=sites.HUB, site=sites.SITE, keys=[peers.HUB_SEALING], signers=signers)


_SCHEMA = {
    "$defs": {"a": {"type": "string", "pattern": "^a+$"}},
    "type": "object",
    "properties": {
        "seal": {"type": "object", "properties": {"linger": {"$ref": "#/$defs/a"}, "max_records": {"maximum": 9}}},
        "inputs": {"additionalProperties": {"anyOf": [{"properties": {"type": {"const": "http"}}}]}},
    },
}


@functools.cache
def _rendered() -> tuple[Rendered, dict[str, Any]]:
    """Settings in which there is a secret."""
    made, problems = render(read_layers({"fleet.toml": _FLEET.decode()}).of("ship-1", {}), _ATTRIBUTES)
    assert not problems
    return made, made.with_secrets({"door": _SECRET})


_ATTRIBUTES = Attributes("ship-1", {"region": "north"}, {"door": 1})


@target(
    seeds=lambda: [json.dumps(_SCHEMA).encode(), b"true", b'{"$ref":"#/$defs/a","$defs":{"a":{"$ref":"#/$defs/a"}}}']
)
def site_schema(data: bytes) -> None:
    """A site's schema of its settings is used up to bounds; no problem shows a secret."""
    made, filled = _rendered()
    found = problems_of(made, filled, zstandard.ZstdCompressor().compress(data), ["seal", "inputs"])
    assert not any(_SECRET in str(each) for each in found)


@target(
    seeds=lambda: [
        _FLEET + b"\0" + _GROUP,
        b"x." * 99 + b"x=1\0",
        b"a=[" + b"[" * 99 + b"\0layer=1",
        b"x=0x" + b"f" * 4000,
    ],
    max_bytes=8192,
)
def settings_layers(data: bytes) -> None:
    """Layers of the fleet and perhaps of a group: rendered and written as they were read, or all problems."""
    fleet, *groups = data.decode(errors="replace").split("\0", 1)
    try:
        layers = read_layers(dict(zip(("fleet.toml", "groups/north.toml"), (fleet, *groups), strict=False)))
    except LayersInvalid as error:
        assert error.problems
        assert str(error)
        return
    made, problems = render(layers.of("ship-1", _ATTRIBUTES.labels), _ATTRIBUTES)
    for each in problems:
        assert str(each)
    if not problems:
        filled = made.with_secrets(dict.fromkeys(made.secrets, _SECRET))
        assert _in_order(read_toml(toml_of(filled))) == _in_order(filled)
        assert _SECRET not in toml_of(made.document) or _SECRET in data.decode(errors="replace")
        assert _depth(made.document) <= MAX_SETTINGS_DEPTH + 1


def _in_order(value: object) -> str:
    """Settings as text, whatever the order of their keys: tables are written behind other keys."""
    if isinstance(value, dict):
        return str([(key, _in_order(value[key])) for key in sorted(value)])
    return str([_in_order(each) for each in value]) if isinstance(value, list) else repr(value)


def _depth(value: object) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(_depth, inner), default=0)


def _states() -> Iterator[bytes]:
    pushed = orders_state.Pushed(7, 1, "[seal]")
    trial = orders_state.Trial(pushed, 60, entered=True, troubles=("one",))
    yield msgspec.json.encode(State(sites.HUB, sites.SITE, kept=pushed, trial=trial, paused=("boiler",)))


@target(seeds=_states)
def orders_file(data: bytes) -> None:
    """The file in which a site keeps its orders, damaged: a state, or an empty one; and it can be saved again."""
    logging.getLogger(orders_state.__name__).disabled = True
    folder = Path(_FOLDER.name)
    (folder / orders_state.FOLDER).mkdir(mode=0o700, exist_ok=True)
    (folder / orders_state.FOLDER / orders_state.FILE).write_bytes(data)
    found = orders_state.load(folder)
    orders_state.save(folder, found)
    assert orders_state.load(folder) == found


_FOLDER = tempfile.TemporaryDirectory(prefix="farshore-fuzz-orders-")
