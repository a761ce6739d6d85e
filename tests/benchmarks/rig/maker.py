"""Fills an agent's buffer with a sealed backlog, without a door: run by `backlog` in a process of its own.

It opens the agent that ships, without forwarding, and appends 10,000 records a call as Python values; after every
100,000 it lets the buffer seal its tail, as the agent does in the background. So the file on disk is what weeks offline
would leave; only the way through the HTTP door, and the waiting, are left out.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter

from farshore_agent.app import Agent
from tests.benchmarks.rig.edge import STREAM
from tests.benchmarks.rig.sums import sums_of
from tests.benchmarks.rig.workload import Workload

_A_CALL = 10_000
_CALLS_A_SEAL = 10


async def _fill(settings: str, count: int) -> dict[str, int]:
    workload, sums = Workload(), Counter[str]()
    async with Agent.open(settings, forward=False) as agent:
        await agent.delivery.courier()  # begins a key epoch, which sealing needs
        for call, first in enumerate(range(0, count, _A_CALL), 1):
            records = workload.records(min(_A_CALL, count - first))
            await agent.append(STREAM, records)
            sums.update(sums_of(records))
            if call % _CALLS_A_SEAL == 0:
                await agent._buffer.seal_due(link_up=False, flush=True)
        await agent._buffer.seal_due(link_up=False, flush=True)
    return sums


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(_fill(sys.argv[1], int(sys.argv[2])))) + "\n")
