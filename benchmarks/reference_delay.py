"""Events of a real worker while REST answers after 5 s, beside the same worker while it answers at once.

    python -m benchmarks.reference_delay [--records 200000] [--rounds 4]

Each block has symbols that the worker has not seen, so that its agent asks for reference data all the while; blocks
with and without the delay alternate in one run, in turned order each round. Keeps its figures in
`benchmarks/results/reference_delay.json`.
"""

import argparse
import asyncio
import os
import statistics
import tempfile
from pathlib import Path
from typing import Any

import aiohttp

from app.local.redis import LocalRedis
from benchmarks.broker import broker, free_port
from benchmarks.cache import simulator
from benchmarks.real_workers import publish, real_workers
from benchmarks.record import keep, summary

DELAY_S = 5.0
SYMBOLS = 500
START_MS = 1_795_186_800_000  # 2026-11-20 10:00 ET


def block_of(number: int, records: int) -> list[bytes]:
    """Aggregates of symbols that no other block has."""
    return [
        b'{"ev":"A","sym":"B%dS%d","v":100,"av":%d,"op":25.66,"vw":25.4,"o":25.39,"c":25.%02d,"h":25.99,"l":25.0,'
        b'"a":25.37,"z":50,"s":%d,"e":%d}'
        % (number, each % SYMBOLS, 100 * (each // SYMBOLS + 1), each % 100, START_MS + each, START_MS + each + 1000)
        for each in range(records)
    ]


async def delay(base: str, seconds: float) -> None:
    """Let REST answer so late."""
    faults = {"rest_delay_s": seconds}
    async with aiohttp.ClientSession() as session, session.post(f"{base}/control/faults", json=faults) as answer:
        answer.raise_for_status()


async def asked(base: str) -> int:
    """REST requests that the simulator has seen."""
    async with aiohttp.ClientSession() as session, session.get(f"{base}/control/stats") as answer:
        return sum((await answer.json())["requests"].values())


async def measure(records: int, rounds: int, partitions: int) -> dict[str, list[dict[str, float]]]:
    """Blocks with the delay and without, in turn."""
    runs: dict[str, list[dict[str, float]]] = {"at_once": [], "after_5_s": []}
    with broker() as bootstrap, tempfile.TemporaryDirectory() as directory:
        redis = LocalRedis(Path(directory) / "redis", free_port())
        redis.start()
        try:
            redis.wait_ready()
            async with (
                simulator() as base,
                real_workers(
                    bootstrap, 1, partitions, Path(directory), source="massive", massive_api_key="simulator",
                    massive_rest_url=base, redis_url=redis.url,
                ) as workers,
            ):  # fmt: skip
                await publish(bootstrap, block_of(0, 10_000))
                await workers.done()
                for number in range(2 * rounds):
                    # Turned each round, so that what drifts does not count for one of the two.
                    what = list(runs)[(number + number // 2) % 2]
                    await delay(base, DELAY_S if what == "after_5_s" else 0.0)
                    before = await asked(base)
                    run = await workers.block(block_of(number + 1, records))
                    run["requests"] = await asked(base) - before
                    runs[what].append(run)
                    print(
                        f"{what:<10} {run['records'] / run['wall_s']:>10,.0f} events/s  {run['requests']:.0f} requests"
                    )
        finally:
            redis.stop()
    return runs


def main() -> None:
    """Measure, keep and print."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--records", type=int, default=200_000)
    arguments.add_argument("--rounds", type=int, default=4)
    arguments.add_argument("--partitions", type=int, default=4)
    given = arguments.parse_args()
    runs = asyncio.run(measure(given.records, given.rounds, given.partitions))
    results: dict[str, Any] = {what: summary(found) for what, found in runs.items()}
    for what, found in runs.items():
        results[what]["events_per_cpu_s"] = round(statistics.median(run["records"] / run["cpu_s"] for run in found))
    ratios = {name: round(results["after_5_s"][name] / results["at_once"][name], 3) for name in ("events_per_cpu_s",)}
    rates = {what: results[what]["records_per_s"]["median"] for what in runs}
    ratios["records_per_s"] = round(rates["after_5_s"] / rates["at_once"], 3)
    keep("reference_delay", {**results, "ratio": ratios})
    print(f"\n{'REST answers':<14} {'events/s':>10} {'events/CPU s':>13}")
    for what, rate in rates.items():
        print(f"{what.replace('_', ' '):<14} {rate:>10,} {results[what]['events_per_cpu_s']:>13,}")
    print(f"{'ratio':<14} {ratios['records_per_s']:>10} {ratios['events_per_cpu_s']:>13}")
    print(f"on {os.cpu_count()} cores, which broker, Redis and simulator share")


if __name__ == "__main__":
    main()
