"""The whole platform: aggregates, trades, quotes and LULD of 6,000 symbols on 1, 2 and 4 workers.

    python -m benchmarks.platform [--records 300000] [--rounds 2] [--workers 1 2 4]

Each worker is `tapereader worker` with all of its tables. A block of the simulated market is appended while the
workers are held; then they are let go, and the time to the last append to their tables is measured. Where there
are fewer cores than workers and the broker need, the events per second of CPU time tell more than those per second.
Keeps its figures in `benchmarks/results/platform.json`.
"""

import argparse
import asyncio
import os
import statistics
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from app.market.calendar import TradingCalendar
from benchmarks.broker import broker
from benchmarks.real_workers import publish, real_workers
from benchmarks.record import keep, summary
from producers.simulator.market import MarketModel

START_MS = 1_795_186_800_000  # 2026-11-20 10:00 ET
KINDS = frozenset({"A", "T", "Q", "LULD"})
WARM_UP = 20_000


class Market:
    """The simulated market's events, in blocks."""

    def __init__(self, symbols: int, events_per_s: float = 40_000) -> None:
        self._model = MarketModel(
            TradingCalendar.new_york(), symbols=symbols, seed=7, events_per_s=events_per_s, start_ms=START_MS
        )
        self.counts: Counter[str] = Counter()

    def block(self, records: int) -> list[bytes]:
        """At least so many events, whole seconds of them."""
        events: list[bytes] = []
        while len(events) < records:
            encoded = self._model.encode(self._model.second(), KINDS)
            events += encoded.events
            self.counts.update(encoded.kinds)
        return events


async def measure(count: int, records: int, rounds: int, partitions: int, symbols: int) -> dict[str, Any]:
    """Runs with so many workers on a broker of their own."""
    market, runs = Market(symbols), []
    with broker() as bootstrap, tempfile.TemporaryDirectory() as logs:
        async with real_workers(bootstrap, count, partitions, Path(logs), source="none") as workers:
            await publish(bootstrap, market.block(WARM_UP))
            await workers.done()
            for number in range(rounds):
                run = await workers.block(market.block(records))
                runs.append(run)
                print(f"{count} workers, round {number + 1}/{rounds}: {run['records'] / run['wall_s']:,.0f} events/s")
    total = sum(market.counts.values())
    found = summary(runs)
    found["events_per_cpu_s"] = round(statistics.median(run["records"] / run["cpu_s"] for run in runs))
    found["shares"] = {kind: round(count / total, 3) for kind, count in sorted(market.counts.items())}
    return found


def show(results: dict[str, Any]) -> None:
    """One row for each number of workers."""
    first = next(iter(results.values()))["records_per_s"]["median"]
    print(f"\n{'workers':>7} {'events/s':>10} {'per worker':>11} {'growth':>7} {'events/CPU s':>13} {'MB':>7}")
    for count, found in results.items():
        rate = found["records_per_s"]["median"]
        print(
            f"{count:>7} {rate:>10,} {rate // int(count):>11,} {rate / first:>6.2f}x {found['events_per_cpu_s']:>13,} "
            f"{found['peak_memory_mb']:>7.0f}"
        )
    print(f"on {os.cpu_count()} cores, which the broker shares: more workers than cores cannot be quicker")


def main() -> None:
    """Measure each number of workers in turn, keep and print the figures."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--records", type=int, default=300_000)
    arguments.add_argument("--rounds", type=int, default=2)
    arguments.add_argument("--partitions", type=int, default=8)
    arguments.add_argument("--symbols", type=int, default=6000)
    arguments.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    given = arguments.parse_args()
    results: dict[str, Any] = {}
    for count in given.workers:
        results[str(count)] = asyncio.run(measure(count, given.records, given.rounds, given.partitions, given.symbols))
    keep("platform", {"workers": results, "symbols": given.symbols, "partitions": given.partitions})
    show(results)


if __name__ == "__main__":
    main()
