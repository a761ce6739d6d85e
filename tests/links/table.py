"""Measures what a real agent and hub make of bad links, and prints it.

python -m tests.links.table [PART OF A LINK'S NAME [CONGESTION CONTROL OF THE SITE]]
"""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.acceptance.commands import until
from tests.acceptance.hub import Hub
from tests.acceptance.settled import assert_settled
from tests.acceptance.site import Site, Way
from tests.links.badlink import BadLink
from tests.links.netem import Impairment
from tests.links.profiles import PROFILES

PORTION: Final = 100
NOISE_BYTES: Final = 400
DROPS_ALL: Final = Impairment(loss=1.0)


@dataclass(frozen=True, slots=True)
class Measured:
    """How a backlog was drained.

    Attributes:
        records, payload_bytes: that waited when the link came back; bytes as they were sealed.
        took_s: until the hub had them all.
        up_bytes, down_bytes: that the site and the hub put on the link, repeated ones too.
    """

    records: int
    payload_bytes: int
    took_s: float
    up_bytes: int
    down_bytes: int

    def share_of(self, rate_kbit_s: float) -> float:
        """The payload as a share of what the link could have carried."""
        return self.payload_bytes * 8 / (rate_kbit_s * 1000 * self.took_s) if rate_kbit_s else 0.0


def backlog_over(link: BadLink, hub: Hub, site: Site, how: Impairment, payload_bytes: int) -> Measured:
    """Let a backlog of about that size build up while the link is dead, and measure how it drains over a bad one."""
    link.impair(how)
    site.must_post(10)
    until("the link is up", lambda: site.status()["link"]["up"] and site.status()["buffer"]["pending"] == 0)
    link.impair(DROPS_ALL)
    records = 10
    for _ in range(payload_bytes // (PORTION * NOISE_BYTES)):
        answered = site.post([{"ts": time.time(), "n": site.noise(NOISE_BYTES)} for _ in range(PORTION)])
        assert answered.status == 200
        records += PORTION
    until("it is sealed", lambda: not any(each["tail_records"] for each in site.status()["buffer"]["streams"]))
    waiting = sum(each["waiting_bytes"] for each in site.status()["buffer"]["streams"])
    before = link.carried()
    link.impair(how)
    began = time.monotonic()
    until("the backlog has crossed the link", lambda: not site.status()["buffer"]["pending"])
    took_s = time.monotonic() - began
    after = link.carried()
    assert_settled(hub, site)
    up, down = (after[way]["bytes"] - before[way]["bytes"] for way in ("up", "down"))
    return Measured(records, waiting, took_s, up, down)


def main() -> None:
    wanted, congestion = (*sys.argv[1:], *("", "reno")[len(sys.argv) - 1 :])
    with tempfile.TemporaryDirectory(prefix="fs-") as folder, BadLink(congestion) as link:
        hub = Hub(Path(folder))
        hub.start()
        try:
            _print_all(link, hub, Path(folder), wanted)
        finally:
            hub.kill()


def _print_all(link: BadLink, hub: Hub, folder: Path, wanted: str) -> None:
    _say(["link", "records/s", "payload KiB", "seconds", "share of the link", "bytes up per payload byte", "parcels"])
    _say(["---", *["--:"] * 6])
    for number, (name, how) in enumerate(PROFILES.items()):
        if wanted not in name:
            continue
        site = Site(f"far-{number}", folder / f"far-{number}", hub.port, way=Way(link.hub_address, link.inside, ""))
        try:
            link.impair(Impairment())
            site.join(hub)
            site.start()
            payload = 4_000_000 if how.rate_kbit_s > 1000 else 1_000_000
            if how.loss > 0.2:
                payload = 100_000
            found = backlog_over(link, hub, site, how, payload)
            row = [
                name,
                f"{found.records / found.took_s:.0f}",
                f"{found.payload_bytes / 1024:.0f}",
                f"{found.took_s:.1f}",
            ]
            row += [f"{found.share_of(how.rate_kbit_s):.0%}", f"{found.up_bytes / found.payload_bytes:.2f}"]
            row.append(str(site.status()["link"]["sent_parcels"]))
            _say(row)
        finally:
            site.kill()


def _say(row: list[str]) -> None:
    print(f"| {' | '.join(row)} |", flush=True)  # noqa: T201 - that is what it is for


if __name__ == "__main__":
    main()
