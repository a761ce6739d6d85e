"""A program that holds the agent, with many tasks that append: run by `producers`, told what to do line by line."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from typing import Any

from farshore_agent.app import Agent
from tests.benchmarks.rig.edge import STREAM
from tests.benchmarks.rig.workload import Workload


async def _append(agent: Agent, records: list[dict[str, Any]], producers: int) -> dict[str, float]:
    latencies: list[float] = []
    clock = time.perf_counter

    async def produce(share: list[dict[str, Any]]) -> None:
        for record in share:
            began_s = clock()
            await agent.append(STREAM, record)
            latencies.append(clock() - began_s)

    began_s, began_cpu_s = clock(), time.process_time()
    await asyncio.gather(*(produce(records[at::producers]) for at in range(producers)))
    seconds, cpu_s = clock() - began_s, time.process_time() - began_cpu_s
    latencies.sort()
    p50, p99 = (1000 * latencies[int(share * len(latencies))] for share in (0.5, 0.99))
    return {"seconds": seconds, "cpu_s": cpu_s, "p50_ms": p50, "p99_ms": p99}


async def _run(settings: str, count: int, producers: int) -> None:
    records = Workload().records(count)
    gc.freeze()  # these are the benchmark's: the collector need not go through them again and again
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    await lines.readline()
    async with Agent.open(settings) as agent:
        await agent.flush()
        _tell({})
        await lines.readline()
        _tell(await _append(agent, records, producers))
        await lines.readline()
        await agent.flush()
        _tell({})
        await lines.readline()


def _tell(what: dict[str, float]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(_run(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
