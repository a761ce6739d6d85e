"""Layers of a folder, merged for one site, with its own values put in."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from farshore_hub.orders.layers import LayersInvalid, Problem, read_layers
from farshore_hub.orders.rendering import Attributes, Rendered, render, size_problem, toml_of

FILES = {
    "fleet.toml": '[seal]\nlinger = "2 s"\nmax_records = 100\n[layer]\nprobe_s = 30\n',
    "groups/north.toml": """
        seal.linger = "3 s"
        inputs.door.type = "http"
        layer.labels = { region = "north" }
    """,
    "groups/wells.toml": """
        seal.linger = "9 s"
        layer = { labels = { kind = ["well", "pump"] }, order = -1, probe_s = 90 }
    """,
    "sites/ship-1.toml": "[seal]\nmax_records = 7\n",
}


def attributes(site: str = "ship-1", labels: dict[str, str] | None = None, **secrets: int) -> Attributes:
    return Attributes(site, {"region": "north", "kind": "well"} if labels is None else labels, secrets)


def rendered(files: dict[str, str], who: Attributes) -> tuple[Rendered, list[Problem]]:
    return render(read_layers(files).of(who.site, who.labels), who)


def test_the_site_wins_over_its_groups_and_they_over_the_fleet_key_by_key() -> None:
    made, problems = rendered(FILES, attributes())
    assert made.document == {"seal": {"linger": "3 s", "max_records": 7}, "inputs": {"door": {"type": "http"}}}
    assert made.probe_s == 90
    assert not problems
    assert made.file_of(("seal", "linger")) == "groups/north.toml"
    assert made.file_of(("seal", "max_records")) == "sites/ship-1.toml"
    assert made.file_of(("inputs", "door", "listen")) == "groups/north.toml"


def test_a_group_is_for_the_sites_whose_labels_have_one_of_its_values_for_each_key() -> None:
    layers = read_layers(FILES)
    of_pump = [each.file for each in layers.of("ship-2", {"kind": "pump"})]
    assert of_pump == ["fleet.toml", "groups/wells.toml"]
    assert [each.file for each in layers.of("ship-2", {})] == ["fleet.toml"]


def test_a_table_that_takes_the_place_of_a_value_belongs_to_the_later_file_and_the_other_way_round() -> None:
    files = {"fleet.toml": "a = 1\n[b]\nx = 1\n", "sites/ship-1.toml": "b = 2\n[a]\ny = 3\n"}
    made, _ = rendered(files, attributes())
    assert made.document == {"a": {"y": 3}, "b": 2}
    assert {made.file_of(at) for at in (("a", "y"), ("b",))} == {"sites/ship-1.toml"}


def test_what_belongs_to_the_site_is_put_in_and_a_doubled_dollar_stands_for_itself() -> None:
    files = {"fleet.toml": 'a = "${site.name} in ${labels.region}, $${site.name} ${"\nb = ["x", "${site.name}"]\n'}
    made, problems = rendered(files, attributes())
    assert made.document == {"a": "ship-1 in north, ${site.name} ${", "b": ["x", "ship-1"]}
    assert not problems


def test_what_is_named_and_not_there_is_said_with_its_file_its_key_and_what_to_do() -> None:
    files = {"fleet.toml": '[a]\nb = "${labels.area} ${secret.KEY} ${env.HOME} ${site.id}"\n'}
    _, problems = rendered(files, attributes())
    assert [(each.file, each.at) for each in problems] == [("fleet.toml", ("a", "b"))] * 4
    assert [each.remedy for each in problems][:2] == [
        "farshore-hub site label ship-1 area=VALUE",
        "farshore-hub secret set KEY",
    ]


def test_a_secret_stands_in_the_order_alone_and_a_new_one_makes_other_settings() -> None:
    files = {"fleet.toml": 'a = "user:${secret.KEY}@${site.name}"\n'}
    made, _ = rendered(files, attributes(KEY=1))
    assert made.document == {"a": "user:${secret.KEY}@ship-1"}
    assert made.secrets == {"KEY"}
    assert made.with_secrets({"KEY": "${labels.x}"}) == {"a": "user:${labels.x}@ship-1"}
    assert rendered(files, attributes(KEY=1))[0].digest == made.digest
    assert rendered(files, attributes(KEY=2))[0].digest != made.digest
    plain, _ = rendered({"fleet.toml": 'a = "user:$${secret.KEY}@ship-1"\n'}, attributes())
    assert plain.document == made.document
    assert plain.digest != made.digest


def test_the_same_settings_have_the_same_digest_however_they_are_spread() -> None:
    one, _ = rendered({"fleet.toml": 'a = "ship-1"\n[b]\nc = 1\n'}, attributes())
    other, _ = rendered({"fleet.toml": 'a = "${site.name}"\n', "sites/ship-1.toml": "[b]\nc = 1\n"}, attributes())
    assert one.digest == other.digest


@pytest.mark.parametrize("value", ["1", "1.0", "true", '"1"', "[1]", "1979-05-27T07:32:00Z", '["list", 1]', '["text"]'])
def test_values_that_look_alike_are_told_apart(value: str) -> None:
    others = {"1", "1.0", "true", '"1"', "[1]", "1979-05-27T07:32:00Z", '["list", 1]', '["text"]', "{}"} - {value}
    own = rendered({"fleet.toml": f"a = {value}\n"}, attributes())[0].digest
    assert own not in {rendered({"fleet.toml": f"a = {each}\n"}, attributes())[0].digest for each in others}


def test_everything_that_is_wrong_with_a_folder_is_said_at_once() -> None:
    files = {
        "fleet.toml": "a =",
        "groups/north.toml": "[layer]\norder = true\nprobe = 3\n",
        "groups/UP.toml": "",
        "sites/No Site.toml": "",
        "sites/ship-1.toml": "[layer]\nprobe_s = -1\n",
        "readme.md": "",
    }
    with pytest.raises(LayersInvalid) as caught:
        read_layers(files)
    where = [(each.file, each.at) for each in caught.value.problems]
    assert where == [
        ("fleet.toml", ()),
        ("groups/UP.toml", ()),
        ("groups/north.toml", ("layer", "labels")),
        ("groups/north.toml", ("layer", "order")),
        ("groups/north.toml", ("layer", "probe")),
        ("readme.md", ()),
        ("sites/No Site.toml", ()),
        ("sites/ship-1.toml", ("layer", "probe_s")),
    ]


@pytest.mark.parametrize(
    "value", [".".join("a" * 100_000) + " = 1", "a = 0x" + "f" * 4_000, "a = " + "[" * 99 + "]" * 99]
)
def test_what_would_keep_the_hub_busy_or_break_it_later_is_a_problem(value: str) -> None:
    with pytest.raises(LayersInvalid, match="is not TOML"):
        read_layers({"fleet.toml": value})


def test_settings_that_no_order_can_carry_are_said() -> None:
    assert size_problem("x" * 98_304) is None
    assert size_problem("x" * 98_305) is not None


KEYS = st.text(min_size=1, max_size=8).filter(lambda key: "$" not in key)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=50)
@example({"regression": "an escaped ${ that nothing closes"})
@given(st.dictionaries(KEYS.filter(lambda key: key != "layer"), VALUES, max_size=4))
def test_any_settings_come_through_rendering_and_toml_as_they_were(given_settings: dict[str, Any]) -> None:
    text = toml_of(given_settings)
    made, problems = rendered({"fleet.toml": text.replace("${", "$${")}, attributes())
    assert not problems
    assert tomllib.loads(toml_of(made.with_secrets({}))) == tomllib.loads(text)


@given(st.text(max_size=200), st.sampled_from(["fleet.toml", "groups/a.toml", "sites/ship-1.toml"]))
def test_whatever_stands_in_a_file_is_read_or_refused(text: str, path: str) -> None:
    try:
        made, _ = rendered({path: text}, attributes())
    except LayersInvalid as error:
        assert {each.file for each in error.problems} == {path}
    else:
        assert tomllib.loads(toml_of(made.document)) == made.document or "nan" in text
