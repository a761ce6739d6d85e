"""The life of the packages in a clean Debian: installed, used, upgraded, removed, purged. One story, told in order.

`make test-packages` runs it. Hub and agent are the packages that were built, each a service of the booted system's own
systemd; the records go through all of it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest

from farshore_build.__main__ import this_architecture
from tests.examples import ROOT, steps
from tests.packages.machine import ROOTS, Machine, booted, clean_root

DIST: Final = Path(os.environ.get("FARSHORE_DIST", Path(__file__).parents[2] / "dist"))
FORMATS: Final = Path(__file__).parents[1] / "data" / "formats"
SUITE: Final = os.environ.get("FARSHORE_SUITE", "bookworm")
AGENT: Final = "/var/lib/farshore-agent"
HUB: Final = "/var/lib/farshore-hub"
ADDRESS: Final = "https://127.0.0.1:8443"


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    clean = clean_root(SUITE)
    root = Path(tempfile.mkdtemp(prefix="machine-", dir=ROOTS)) / "root"
    try:
        # Not copytree: it reads devices as if they were files, and /dev/full never ends.
        subprocess.run(["cp", "--archive", str(clean), str(root)], check=True)
        with booted(root) as machine:
            yield machine
    finally:
        shutil.rmtree(root.parent)


@pytest.fixture(autouse=True)
def _one_after_the_other(request: pytest.FixtureRequest) -> None:
    """What follows a step that failed would only say so again."""
    if request.session.testsfailed:
        pytest.skip("a step before it has failed")


def package(side: str) -> Path:
    """The one that was built last."""
    return max(DIST.glob(f"farshore-{side}_*_{this_architecture()}.deb"), key=lambda each: each.stat().st_mtime)


def install(machine: Machine, file: Path) -> None:
    machine.do(f"DEBIAN_FRONTEND=noninteractive dpkg --install {machine.put(file)} </dev/null")


def agent_status(machine: Machine) -> Any:  # noqa: ANN401 - a JSON document
    return json.loads(machine.do("farshore-agent status --json").out)


def append(machine: Machine, count: int, first: int) -> None:
    lines = "".join(f'{{"ts": "2026-11-23T08:30:00Z", "n": {n}}}\n' for n in range(first, first + count))
    machine.do("farshore-agent append boiler", lines.encode())


def stored(machine: Machine) -> list[int]:
    said = machine.run("farshore-hub export boiler")
    return sorted(json.loads(line)["n"] for line in said.out.splitlines()) if said.code == 0 else []


def files_outside(machine: Machine) -> set[str]:
    """Every file of the system that is no record, log or cache of its own."""
    find = "find / -xdev \\( -path /proc -o -path /sys -o -path /run -o -path /tmp -o -path /var/log -o -path /var/tmp"
    said = machine.do(f"{find} -o -path /var/lib/systemd -o -path /root -o -path /var/cache \\) -prune -o -print")
    return set(said.out.splitlines())


BEFORE: Final[set[str]] = set()


def test_an_agent_is_installed_without_a_question_and_runs_at_once(machine: Machine) -> None:
    BEFORE.update(files_outside(machine))
    install(machine, package("agent"))
    assert machine.property("farshore-agent", "ActiveState") == "active"
    assert machine.property("farshore-agent", "StatusText").startswith("link: none")
    assert "0.1.0 (" in machine.do("farshore-agent --version").out
    assert agent_status(machine)["running"]


def test_it_has_touched_nothing_outside_its_own(machine: Machine) -> None:
    new = files_outside(machine) - BEFORE
    ours = [each for each in new if "farshore" not in each]
    # What adduser and dpkg write of every package.
    allowed = ("/etc/passwd-", "/etc/group-", "/etc/shadow-", "/etc/gshadow-", "/etc/subuid-", "/etc/subgid-")
    folders = ("/usr/share/zsh", "/usr/share/fish", "/usr/share/bash-completion")
    assert [each for each in ours if each not in allowed and not each.startswith(folders)] == []
    machine.do("python3 -c 'import sys; sys.exit(any(\"farshore\" in each for each in sys.path))'")
    assert machine.run("python3 -c 'import farshore_agent'").code != 0
    machine.do("dpkg --verify farshore-agent")


def test_the_service_runs_as_its_own_user_within_the_sandbox(machine: Machine) -> None:
    pid = machine.property("farshore-agent", "MainPID")
    state = machine.do(f"cat /proc/{pid}/status").out
    assert "Seccomp:\t2" in state
    assert "NoNewPrivs:\t1" in state
    assert "CapBnd:\t0000000000000000" in state
    assert machine.do(f"stat --format %U /proc/{pid}").out.strip() == "farshore-agent"
    exposure = machine.do("systemd-analyze security --no-pager farshore-agent").out.splitlines()[-1]
    assert float(exposure.split(": ")[1].split()[0]) <= 2.0, exposure


def test_records_are_kept_before_there_is_a_hub(machine: Machine) -> None:
    append(machine, 100, first=0)
    assert agent_status(machine)["buffer"]["pending"] == 100


def test_a_hub_is_installed_and_waits_for_its_init(machine: Machine) -> None:
    install(machine, package("hub"))
    assert machine.property("farshore-hub", "ActiveState") == "inactive"
    machine.do(f"farshore-hub init --address {ADDRESS}")
    assert machine.do(f"stat --format %U {HUB}/hub.toml").out.strip() == "farshore-hub"
    machine.do("systemctl start farshore-hub")
    assert machine.property("farshore-hub", "StatusText") == "listens on https://0.0.0.0:8443"


def test_enrolling_is_the_one_step_and_the_running_service_goes_on_from_there(machine: Machine) -> None:
    token = machine.do("farshore-hub site add ship-1").out.splitlines()[-1]
    machine.do(f"farshore-agent enrol {token}")
    machine.until("the records are delivered", lambda: stored(machine) == list(range(100)))
    assert machine.property("farshore-agent", "NRestarts") == "0"


def test_everything_in_the_state_folders_belongs_to_the_services(machine: Machine) -> None:
    for folder, user in ((AGENT, "farshore-agent"), (HUB, "farshore-hub")):
        assert machine.do(f"find {folder} ! -user {user}").out == ""
        assert machine.do(f"find {folder} -perm /077 ! -type l").out == ""


def test_queries_work_within_the_hub_s_sandbox(machine: Machine) -> None:
    token = machine.do("farshore-hub token add reader --role viewer").out.splitlines()[-1].split()[-1]
    ask = f"""python3 - <<'END'
import json, ssl, urllib.request
context = ssl.create_default_context(cafile="{HUB}/ca.pem")
query = json.dumps({{"sql": "SELECT count(*) FROM boiler"}}).encode()
request = urllib.request.Request("{ADDRESS}/v1/query", query, {{"authorization": "Bearer {token}",
    "content-type": "application/json"}})
print(urllib.request.urlopen(request, context=context).read().decode())
END"""
    assert "100" in machine.do(ask).out


def test_the_broker_that_the_hub_brings_runs_within_its_sandbox(machine: Machine) -> None:
    machine.do(f"printf '\n[broker]\nembedded = true\n' >> {HUB}/hub.toml && systemctl restart farshore-hub")
    machine.until("the broker listens", lambda: "nats-server" in machine.run("cat /proc/[0-9]*/comm").out)
    machine.until("the agent is connected", lambda: agent_status(machine)["orders"]["push"]["state"] == "up")


@pytest.mark.parametrize("name", ["farshore-agent", "farshore-hub"])
def test_a_service_that_hangs_is_started_again(machine: Machine, name: str) -> None:
    machine.do(f"mkdir -p /run/systemd/system/{name}.service.d")
    machine.do(f"printf '[Service]\\nWatchdogSec=3\\n' > /run/systemd/system/{name}.service.d/quick.conf")
    machine.do(f"systemctl daemon-reload && systemctl restart {name}")
    pid = machine.property(name, "MainPID")
    # Longer than the watchdog waits: a service that is well gives its signs of life and is left alone.
    machine.do("sleep 5")
    assert machine.property(name, "MainPID") == pid
    machine.do(f"kill -STOP {pid}")
    machine.until("it runs again", lambda: machine.property(name, "MainPID") not in {pid, "0"})
    machine.until("it is ready", lambda: machine.property(name, "ActiveState") == "active")
    assert "watchdog" in machine.do(f"journalctl --no-pager --unit {name}").out.lower()
    machine.do(f"rm -r /run/systemd/system/{name}.service.d && systemctl daemon-reload && systemctl restart {name}")


def test_the_shells_complete_and_the_manual_is_there(machine: Machine) -> None:
    said = machine.do(
        "_FARSHORE_AGENT_COMPLETE=bash_complete COMP_WORDS='farshore-agent en' COMP_CWORD=1 farshore-agent"
    )
    assert said.out.strip() == "plain,enrol"
    assert "farshore-agent enrol" in machine.do("zcat /usr/share/man/man1/farshore-agent.1.gz").out.replace("\\-", "-")


def test_root_leaves_nothing_that_the_stopped_service_cannot_open(machine: Machine) -> None:
    machine.do("systemctl stop farshore-agent")
    append(machine, 20, first=100)
    machine.do("farshore-agent export /root/ship-1.parcel")
    machine.do("farshore-hub import /root/ship-1.parcel && farshore-agent import-ack /root/ship-1.parcel.ack")
    assert agent_status(machine)["buffer"]["pending"] == 0
    assert machine.do(f"find {AGENT} ! -user farshore-agent").out == ""
    machine.do("systemctl start farshore-agent")
    assert stored(machine) == list(range(120))


def test_somebody_else_is_told_whom_to_be(machine: Machine) -> None:
    for line in ("farshore-agent status", "farshore-hub site list"):
        said = machine.run(f"setpriv --reuid=65534 --regid=65534 --clear-groups {line}")
        assert said.code != 0
        assert "sudo" in said.err, said.err


def test_an_upgrade_keeps_the_buffer_the_identity_and_what_was_changed(machine: Machine) -> None:
    machine.do("systemctl stop farshore-hub")
    append(machine, 30, first=120)
    machine.do("echo '# mine' >> /etc/farshore-agent/agent.toml")
    identity = machine.do(f"sha256sum {AGENT}/identity/*").out
    install(machine, package("agent"))
    install(machine, package("hub"))
    assert machine.do(f"sha256sum {AGENT}/identity/*").out == identity
    assert machine.do("tail -1 /etc/farshore-agent/agent.toml").out == "# mine\n"
    machine.until("the records are delivered", lambda: stored(machine) == list(range(150)))
    doctor = machine.run("farshore-agent doctor")
    assert doctor.code == 0, doctor.out


def test_a_service_that_was_disabled_stays_so_through_an_upgrade(machine: Machine) -> None:
    machine.do("systemctl disable farshore-agent")
    install(machine, package("agent"))
    assert machine.run("systemctl is-enabled farshore-agent").out.strip() == "disabled"
    machine.do("systemctl enable farshore-agent")


def test_removing_keeps_what_is_stored_and_installing_again_goes_on_from_there(machine: Machine) -> None:
    said = machine.do("dpkg --remove farshore-agent")
    assert "stays in /var/lib/farshore-agent" in said.out
    assert machine.run("test -e /usr/lib/farshore-agent").code != 0
    assert machine.run("test -e /usr/bin/farshore-agent").code != 0
    machine.do(f"test -e {AGENT}/buffer.db")
    assert machine.property("farshore-agent", "ActiveState") == "inactive"
    install(machine, package("agent"))
    append(machine, 10, first=150)
    machine.until("the records are delivered", lambda: stored(machine) == list(range(160)))


def test_purging_leaves_nothing_but_the_users(machine: Machine) -> None:
    machine.do("dpkg --purge farshore-agent farshore-hub")
    left = [each for each in files_outside(machine) if "farshore" in each]
    assert left == []
    machine.do("id farshore-agent && id farshore-hub")
    assert machine.do("systemctl list-units --all --no-legend 'farshore*'").out.strip() == ""


def test_what_an_earlier_version_has_left_goes_on_when_the_packages_are_installed_over_it(machine: Machine) -> None:
    """The first formats of both sides: a hub with 40 records, a site with 20 more that wait."""
    with tarfile.open(FORMATS / "0001.tar.xz") as packed:
        packed.extractall(machine.root / "root" / "old", filter="data")
    for side, left in (("agent", "site/state"), ("hub", "hub")):
        machine.do(f"mv /root/old/{left} /var/lib/farshore-{side}")
        machine.do(f"chown -R farshore-{side}: /var/lib/farshore-{side} && chmod 700 /var/lib/farshore-{side}")
    install(machine, package("hub"))
    install(machine, package("agent"))
    assert agent_status(machine)["identity"]["site"] == "ship-1"
    machine.until("the records are delivered", lambda: stored(machine) == list(range(60)))
    (line,) = json.loads(machine.do("farshore-hub completeness --stream boiler --json").out)["streams"]
    assert (line["produced"], line["stored"], line["pending"], line["gap"]) == (60, 60, 0, 0)


def test_a_newcomer_goes_the_way_of_the_readme(machine: Machine) -> None:
    """Line by line as it stands there, in an empty folder; but for where the commands come from: here, the packages."""
    machine.do("systemctl stop farshore-agent farshore-hub && mkdir /root/new")
    machine.do("echo 127.0.0.1 localhost >> /etc/hosts")  # an installer writes it, debootstrap does not
    way = [*steps("### Your own hub", ROOT / "README.md"), *steps("### Your own site", ROOT / "README.md")]
    token = ""
    for step in way:
        line = re.sub(r"fs1\.\S+", token, step.line)
        if line.startswith("make venv"):
            continue
        if line.endswith(" &"):
            machine.do(f"cd /root/new && ({line.removesuffix(' &')} >>log 2>&1 </dev/null &)")
            machine.until("it listens", partial(ends_well, machine, "curl -sk https://localhost:8443/readyz", ""))
            continue
        machine.until(line, partial(ends_well, machine, line, step.says))
        token = "".join(re.findall(r"fs1\.\S+", machine.do("cat /root/new/said").out)) or token
    machine.until("the record is at the hub", lambda: "71.5" in machine.run(f"cd /root/new && {way[-1].line}").out)


def ends_well(machine: Machine, line: str, says: str) -> bool:
    """Whether a line ends well and says what the README shows, if it shows something."""
    said = machine.run(f"cd /root/new && {{ {line}\n}} >said; code=$?; cat said; exit $code")
    shown = ".*".join(re.escape(part) for part in re.sub(r"fs1\.\S+", "fs1.…", says).split("…"))
    return said.code == 0 and re.search(shown, said.out, re.DOTALL) is not None
