"""TOML is read within bounds: a key of a hundred thousand parts would keep a processor busy for minutes."""

from __future__ import annotations

import pytest

from farshore_protocol.limits import MAX_SETTINGS_DEPTH
from farshore_protocol.toml import read_toml

LONG = 100_000
NESTED = ".".join("a" * MAX_SETTINGS_DEPTH)


@pytest.mark.parametrize("join", [".", " . ", "\t.", '"."', "'.'", '".b."'])
def test_a_key_of_many_parts_is_refused_before_anything_is_read(join: str) -> None:
    quote = join.strip(" \t.b")[:1]
    key = f"{quote}{join.join('a' * LONG)}{quote}"
    for text in (f"{key} = 1", f"[{key}]", f"x = {{ {key} = 1 }}", f'x = """ """ # "\n{key} = 1'):
        with pytest.raises(ValueError, match="a key has more than 32 parts"):
            read_toml(text)


@pytest.mark.parametrize(
    "text",
    [
        f"[{NESTED}]\nb.c = 1",
        f"[{NESTED}]\nb = []",
        f"{NESTED} = {{ a = 1 }}",
        "a = " + "[" * MAX_SETTINGS_DEPTH + "]" * MAX_SETTINGS_DEPTH,
        "a = " + "[" * LONG,
        f"{NESTED} = {{ {NESTED} = {{" * 100 + "}" * 200,
    ],
)
def test_what_is_nested_deeper_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="it is nested deeper than 32"):
        read_toml(text)


def test_what_only_looks_like_a_long_key_is_read() -> None:
    dots = "a." * LONG
    for text in (
        f'x = "{dots}"',
        f"x = '{dots}'",
        f'x = """\n"{dots}\\""""',
        f"x = '''\n'{dots}'''",
        f"x = '' # {dots}",
    ):
        assert str(read_toml(text)["x"]).strip("\n\"'") in {dots, ""}
    assert read_toml(f"{NESTED} = 1.5")
    assert read_toml(f'"{dots}" = 1') == {dots: 1}


@pytest.mark.parametrize("integer", ["0x" + "f" * 4_000, str(2**63), str(-(2**63) - 1)])
def test_an_integer_of_more_than_64_bits_is_refused(integer: str) -> None:
    for text in (f"x = {integer}", f"x = [[{integer}]]", f"[a.b]\nx = {integer}"):
        with pytest.raises(ValueError, match="an integer has more than 64 bits"):
            read_toml(text)
    assert read_toml(f"x = {2**63 - 1}\ny = {-(2**63)}\nz = true")["z"] is True


@pytest.mark.parametrize("text", ["x = " + "9" * 5_000, "x", '"""' * LONG, "'''\"\"\"" * LONG])
def test_what_is_no_toml_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r".") as raised:
        read_toml(text)
    assert not isinstance(raised.value, RecursionError)
