"""Addresses as an operator writes them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farshore_hub.fleet.addresses import check_address, is_loopback, names_of, split_listen


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("https://hub.example.org:8443", "https://hub.example.org:8443"),
        ("https://hub.example.org", "https://hub.example.org:443"),
        ("https://HUB.example.org:8443/", "https://hub.example.org:8443"),
        ("https://[::1]:8443", "https://[::1]:8443"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
    ],
)
def test_an_address_is_brought_into_one_form(written: str, read: str) -> None:
    assert check_address(written) == read


@pytest.mark.parametrize(
    "written",
    [
        "",
        "hub.example.org",
        "ftp://hub:1",
        "https://",
        "https://a b:1",
        "https://a:99999",
        "https://u@a:1",
        "https://a/p",
    ],
)
def test_what_is_no_address_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="is not an address"):
        check_address(written)


@given(st.text(max_size=60))
def test_whatever_is_accepted_as_an_address_can_be_named_in_a_certificate(text: str) -> None:
    try:
        address = check_address("https://" + text)
    except ValueError:
        return
    assert names_of([address])


@pytest.mark.parametrize(
    ("written", "read"),
    [(":8443", ("0.0.0.0", 8443)), ("127.0.0.1:0", ("127.0.0.1", 0)), ("[::1]:8443", ("::1", 8443))],
)
def test_a_listen_address_is_host_and_port(written: str, read: tuple[str, int]) -> None:
    assert split_listen(written) == read


@pytest.mark.parametrize("written", ["", "8443", "host", "host:port", "host:70000", "host:-1"])
def test_what_is_no_listen_address_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="is not a listen address"):
        split_listen(written)


def test_loopback_is_known() -> None:
    assert [host for host in ("localhost", "127.0.0.1", "::1", "0.0.0.0", "10.0.0.5", "hub") if is_loopback(host)] == [
        "localhost",
        "127.0.0.1",
        "::1",
    ]
