"""What the packages are made of, without building or installing one: that is `make deb` and `make test-packages`."""

from __future__ import annotations

import gzip
import json
import platform
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from farshore_agent.settings.load import parse
from farshore_build import deb, environment, pyz
from farshore_build.completion import write_completions
from farshore_build.environment import Differs
from farshore_build.manual import write_manual
from farshore_build.products import AGENT, HUB, PACKAGING, PRODUCTS, ROOT, Product
from farshore_build.sbom import write_sbom
from farshore_build.stamp import DATE_VARIABLE, Stamp
from farshore_shell import build

STAMP = Stamp("0.1.0", "1a2b3c4d5e6f", 1_795_000_000)
MOST_EXPOSED = 2.0
PIN = re.compile(r"^([a-z0-9-]+)==(\S+)(?: ; .+?)? \\$", re.MULTILINE)

each_product = pytest.mark.parametrize("product", PRODUCTS.values(), ids=list(PRODUCTS))


def exposure(unit: Path) -> float:
    """How much of the system a service could reach, from 0 to 10, as systemd judges it."""
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(unit)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1]
    return float(said.split(": ")[1].split()[0])


@each_product
def test_a_service_is_confined(product: Product) -> None:
    assert exposure(product.folder / f"{product.name}.service") <= MOST_EXPOSED


def test_a_service_that_is_confined_less_is_found(tmp_path: Path) -> None:
    lines = (AGENT.folder / "farshore-agent.service").read_text().splitlines()
    weaker = tmp_path / "weaker.service"
    weaker.write_text("\n".join(line for line in lines if not line.startswith(("System", "Capability", "Protect"))))
    assert exposure(weaker) > MOST_EXPOSED


@each_product
def test_a_service_is_watched_started_again_and_bounded(product: Product) -> None:
    unit = (product.folder / f"{product.name}.service").read_text()
    for line in ("Type=notify", "WatchdogSec=", "Restart=always", "StartLimitIntervalSec=0", "MemoryMax=", "TasksMax="):
        assert f"\n{line}" in unit


def test_the_agent_s_settings_are_valid_as_they_come_and_with_every_example_in_force() -> None:
    text = (AGENT.folder / "agent.toml").read_text()
    assert parse(text).inputs == {}
    in_force = re.sub(r"^# (\[|\w+ = )", r"\1", text, flags=re.MULTILINE)
    settings = parse(in_force)
    assert set(settings.inputs) == {"api", "drop", "access"}
    assert set(tomllib.loads(in_force)) >= {"inputs", "buffer", "seal", "forward", "streams"}


@each_product
def test_what_a_product_brings_is_pinned_as_everything_is_and_by_hashes(product: Product) -> None:
    text = product.requirements.read_text()
    pinned = {f"{name}=={version}" for name, version in PIN.findall(text)}
    everything = {line.split(" ;")[0] for line in (PACKAGING / "constraints.txt").read_text().splitlines()}
    assert len(pinned) > 5
    assert pinned <= everything
    others = [line for line in text.splitlines() if not line.startswith("    --hash=sha256:")]
    assert [line for line in others if not PIN.match(line)] == []
    assert "/" not in text


@each_product
def test_a_product_brings_all_that_it_depends_on(product: Product) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = [*project["dependencies"], *(project["optional-dependencies"]["hub"] if product is HUB else ())]
    names = {re.split(r"[^a-z0-9-]", each)[0] for each in needed}
    assert names <= {name for name, _ in PIN.findall(product.requirements.read_text())}, "make pins"


@each_product
def test_the_manual_has_every_command_with_its_options(product: Product) -> None:
    command = deb.command_of(product)
    page = gzip.decompress(write_manual(command, product.name, STAMP)).decode()
    assert page.startswith(f'.TH {product.name.upper()} 1 "2026-11-18" "Farshore 0.1.0"\n')
    sections = {"farshore-agent": ["enrol", "import\\-ack"], "farshore-hub": ["site add", "db upgrade"]}
    for each in sections[product.name]:
        assert f".SS {product.name.replace('-', chr(92) + '-')} {each}" in page
    assert "\\fB\\-\\-json\\fR" in page
    assert shutil.which("man") is None or _read_by_man(page) == ""


def _read_by_man(page: str) -> str:
    """What man's formatter has to complain of."""
    said = subprocess.run(["man", "--warnings", "-l", "-"], input=page.encode(), capture_output=True, check=False)
    return said.stderr.decode()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_finds_its_completion_and_can_read_it(tmp_path: Path, shell: str) -> None:
    write_completions(deb.command_of(AGENT), AGENT.name, tmp_path)
    (file,) = (each for each in tmp_path.rglob("*agent*") if shell in str(each) and each.is_file())
    assert "_FARSHORE_AGENT_COMPLETE" in file.read_text()
    if shutil.which(shell):
        subprocess.run([shell, "-n", str(file)], check=True)


@pytest.mark.parametrize("name", ["postinst", "prerm", "postrm"])
def test_a_script_of_a_package_is_one(name: str) -> None:
    subprocess.run(["sh", "-n", str(PACKAGING / "debian" / name)], check=True)


def some_environment(_product: Product, _architecture: str, work: Path, _stamp: Stamp) -> Path:
    """In the place of the real one, which takes the network."""
    made = work / "site-packages"
    (work / "bin").mkdir(parents=True)
    about = made / "farshore-0.1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(
        "Name: farshore\nVersion: 0.1.0\nLicense-Expression: Apache-2.0\nRequires-Dist: Other_One>=1; extra == 'x'\n\n"
    )
    (made / "other.dist-info").mkdir()
    (made / "other.dist-info" / "METADATA").write_text("Name: other-one\nVersion: 2\nLicense: MIT\n\n")
    return made


@each_product
def test_a_package_is_the_same_byte_for_byte_wherever_and_whenever_it_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, product: Product
) -> None:
    monkeypatch.setattr(deb, "make_environment", some_environment)
    made = [deb.make_deb(product, "arm64", STAMP, tmp_path / each, tmp_path / each / "out") for each in ("a", "bb")]
    assert made[0].read_bytes() == made[1].read_bytes()
    later = deb.make_deb(product, "arm64", Stamp("0.1.0", "", 1_795_100_000), tmp_path / "c", tmp_path / "c" / "out")
    assert made[0].read_bytes() != later.read_bytes()


def test_a_package_says_what_it_needs_keeps_settings_and_belongs_to_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deb, "make_environment", some_environment)
    made = deb.make_deb(AGENT, "arm64", STAMP, tmp_path / "work", tmp_path)
    assert made.name == "farshore-agent_0.1.0_arm64.deb"
    told = subprocess.run(["dpkg-deb", "--info", str(made)], capture_output=True, text=True, check=True).stdout
    assert "Depends: adduser, python3 (>= 3.11), python3 (<< 3.14)" in told
    kept = subprocess.run(["dpkg-deb", "--info", str(made), "conffiles"], capture_output=True, text=True, check=True)
    assert kept.stdout == "/etc/farshore-agent/agent.toml\n"
    listed = subprocess.run(["dpkg-deb", "--contents", str(made)], capture_output=True, text=True, check=True).stdout
    assert {line.split()[1] for line in listed.splitlines()} == {"root/root"}
    writable = [line for line in listed.splitlines() if line[5] == "w" or (line[8] == "w" and line[0] != "l")]
    assert [line for line in writable if line[0] != "l"] == []


def test_the_bill_of_materials_names_what_is_in_and_what_needs_what(tmp_path: Path) -> None:
    bill = json.loads(write_sbom(AGENT, some_environment(AGENT, "", tmp_path, STAMP), STAMP))
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert [each["purl"] for each in bill["components"]] == ["pkg:pypi/farshore@0.1.0", "pkg:pypi/other-one@2"]
    assert bill["dependencies"][1]["dependsOn"] == ["pkg:pypi/other-one@2"]


def test_packages_that_differ_between_two_pythons_cannot_share_a_folder(tmp_path: Path) -> None:
    for python in ("a", "b"):
        (tmp_path / python).mkdir()
        (tmp_path / python / f"_core.{python}.so").write_text("compiled")
        (tmp_path / python / "WHEEL").write_text(python)
        environment._merge(tmp_path / python, tmp_path / "both")
    assert sorted(each.name for each in (tmp_path / "both").iterdir()) == ["WHEEL", "_core.a.so", "_core.b.so"]
    (tmp_path / "b" / "_core.a.so").write_text("another")
    with pytest.raises(Differs, match=r"_core\.a\.so"):
        environment._merge(tmp_path / "b", tmp_path / "both")


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the interpreter here is the example")
def test_what_is_compiled_for_another_machine_is_found(tmp_path: Path) -> None:
    shutil.copyfile(sys.executable, tmp_path / "program")
    (tmp_path / "text").write_text("no program")
    environment.check_machine(tmp_path, "amd64")
    with pytest.raises(environment.WrongMachine, match="program is not for arm64"):
        environment.check_machine(tmp_path, "arm64")


def test_a_build_is_named_by_its_commit_and_as_of_the_time_that_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DATE_VARIABLE, "1795000000")
    stamp = Stamp.of_this_tree()
    assert (stamp.date, stamp.epoch_s) == ("2026-11-18", 1_795_000_000)
    assert STAMP.text == "1a2b3c4d5e6f, 2026-11-18"


def test_a_build_s_version_says_which_one_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "_FILE", tmp_path / "build.txt")
    assert build.described() == STAMP.version
    (tmp_path / "build.txt").write_text(STAMP.text + "\n")
    assert build.described() == "0.1.0 (1a2b3c4d5e6f, 2026-11-18)"


def test_a_hub_s_package_is_for_one_python_and_says_for_which() -> None:
    assert deb.version_of(HUB, STAMP) == "0.1.0+py3.11"
    assert deb.version_of(AGENT, STAMP) == "0.1.0"


def test_a_single_file_is_the_same_byte_for_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("shiv", reason="make pyz installs it")
    monkeypatch.setattr(pyz, "make_environment", some_environment)
    made = [pyz.make_pyz(AGENT, "amd64", STAMP, tmp_path / each, tmp_path / each / "out") for each in ("a", "bb")]
    assert made[0].read_bytes() == made[1].read_bytes()
    assert made[0].read_bytes().startswith(b"#!/usr/bin/env python3\n")
