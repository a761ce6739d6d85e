"""What is published of a run of power cuts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tests.powercut.cuts import Finding


def summary(findings: Sequence[Finding], *, seed: int, control: str, took_s: float) -> dict[str, Any]:
    """The figures of a run, as JSON has them."""
    last = findings[-1]
    return {
        "control": control,
        "seed": seed,
        "cuts": len(findings),
        "moments": dict(sorted(Counter(str(each.moment) for each in findings).items())),
        "records_acknowledged": last.acknowledged + sum(each.lost for each in findings[:-1]),
        "records_stored": last.stored,
        "records_lost": sum(each.lost for each in findings),
        "cuts_that_lost": sum(each.lost > 0 for each in findings),
        "sectors_unflushed": sum(each.sectors.lost + each.sectors.survived for each in findings),
        "sectors_lost": sum(each.sectors.lost for each in findings),
        "faults": [f"cut {each.number}: {fault}" for each in findings for fault in each.faults],
        "seconds_a_cut": round(took_s / len(findings), 1),
    }


def is_as_it_must_be(report: Mapping[str, Any]) -> bool:
    """Nothing is wrong; or, in a control, records were lost: otherwise the experiment shows nothing."""
    return report["cuts_that_lost"] > 0 if report["control"] else not report["faults"]


def progress(finding: Finding) -> str:
    """One line while it runs."""
    said = "; ".join(finding.faults) or "all there, once"
    cache = f"{finding.sectors.lost} of {finding.sectors.lost + finding.sectors.survived} unflushed sectors lost"
    return f"cut {finding.number}, {finding.moment}: {cache}; {finding.acknowledged} records acknowledged: {said}"
