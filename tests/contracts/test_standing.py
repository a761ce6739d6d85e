"""How sites stand is read in few rows, and is what adding up every stream would say; on both databases."""

from __future__ import annotations

from farshore_hub.fleet.context import Fleet
from farshore_hub.ledger.standing import SiteLine, Standing
from farshore_hub.overview import Overview
from farshore_protocol.messages import Reason, Receipt
from farshore_protocol.ranges import RangeSet
from tests.contracts.hub_world import HubWorld

SILENT_AFTER_S = 900


def overview(hub: HubWorld) -> Overview:
    return Overview(Fleet(hub.engine, hub.keys, [], 1, 1, hub.clock, hub.random), SILENT_AFTER_S)  # type: ignore[arg-type]


def added_up(hub: HubWorld) -> dict[str, SiteLine]:
    """The same from a line per stream."""
    lines: dict[str, SiteLine] = {}
    for stream in hub.completeness(silent_after_us=SILENT_AFTER_S * 1_000_000):
        line = lines.setdefault(stream.site, SiteLine(stream.site, stream.heard_us, stream.silent))
        line.add(stream)
    return lines


async def test_the_lines_of_the_fleet_are_the_sums_of_its_streams(hub: HubWorld) -> None:
    well, behind, torn = (hub.add_site(name) for name in ("well", "behind", "torn"))
    hub.add_site("new")
    refused = well.batch(1, 3, stream="boiler.quarantine")
    await hub.deliver(well.parcel(well.batch(1, 10), refused, head=10), "well")
    given_up = Receipt(behind.incarnation, "boiler", 1, 4, Reason.EVICTED, 7)
    held = RangeSet(((9, 12),))
    await hub.deliver(behind.parcel(behind.batch(5, 4), head=12, held=held, receipts=[given_up]), "behind")
    await hub.deliver(torn.parcel(torn.batch(1, 5), torn.batch(1, 2, stream="pump"), head=8), "torn")
    assert told(hub) == {"well": Standing.COMPLETE, "behind": Standing.PENDING, "torn": Standing.GAP}
    hub.clock.at_us += SILENT_AFTER_S * 1_000_000 + 1
    assert told(hub) == {"well": Standing.UNKNOWN, "behind": Standing.UNKNOWN, "torn": Standing.GAP}


def told(hub: HubWorld) -> dict[str, Standing]:
    """How the sites stand, which is what adding up their streams says too."""
    lines = {line.name: line for line in overview(hub).lines()}
    assert lines.pop("new").standing is Standing.NEW
    assert lines == added_up(hub)
    return {name: line.standing for name, line in lines.items()}


async def test_by_one_stream_only_those_are_told_that_have_it(hub: HubWorld) -> None:
    one, other = hub.add_site("one"), hub.add_site("other")
    await hub.deliver(one.parcel(one.batch(1, 5), head=7), "one")
    await hub.deliver(other.parcel(other.batch(1, 2, stream="pump")), "other")
    [line] = overview(hub).lines("boiler")
    assert (line.name, line.streams, line.stored, line.gap) == ("one", 1, 5, 2)
    assert overview(hub).lines("nothing") == []
