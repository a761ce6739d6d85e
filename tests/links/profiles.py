"""The bad links of the catalogue, by name."""

from __future__ import annotations

from typing import Final

from tests.links.netem import Impairment

PROFILES: Final = {
    "256 kbit/s, 600 ms": Impairment(delay_ms=300, rate_kbit_s=256),
    "256 kbit/s, 600 ms, 5 % loss": Impairment(delay_ms=300, rate_kbit_s=256, loss=0.05),
    "256 kbit/s, 600 ms, 30 % loss": Impairment(delay_ms=300, rate_kbit_s=256, loss=0.3),
    "2 Mbit/s, 600 ms": Impairment(delay_ms=300, rate_kbit_s=2_000),
    "2 Mbit/s, 600 ms, 5 % loss": Impairment(delay_ms=300, rate_kbit_s=2_000, loss=0.05),
    "2 Mbit/s, 100 ms, reordered, 2 % doubled": Impairment(delay_ms=50, jitter_ms=40, rate_kbit_s=2_000, doubled=0.02),
}
