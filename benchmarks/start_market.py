"""Reference data of the whole market by answers that hold it all, beside requests by ticker.

    python -m benchmarks.start_market [--symbols 12000] [--by-ticker 500]

A simulator in a process of its own answers, a Redis of its own keeps. The way by ticker is measured with so many
symbols, at the default limits, and its figures for all symbols are those times their number. Keeps its figures in
`benchmarks/results/start_market.json`.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from app.local.redis import LocalRedis
from app.market.calendar import TradingCalendar
from app.market.events import Reference
from app.reference.filling import MarketFilling
from app.reference.opening import open_cache
from app.reference.warm import warm
from app.reference.whole_market import WholeMarket
from app.settings import Settings
from benchmarks.broker import free_port
from benchmarks.record import keep
from producers.simulator.server import Simulator

DAY = "2026-11-20"


async def serve_simulator(symbols: int) -> None:
    """The simulator on a free port, which is printed, until stdin ends."""
    async with Simulator(symbols=symbols, seed=5, events_per_s=1, start=f"{DAY}T11:00") as market:
        market.clock.pause()
        print(market.port, flush=True)
        await asyncio.to_thread(sys.stdin.read)


@asynccontextmanager
async def simulator(symbols: int) -> AsyncIterator[str]:
    """URL of a simulator in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.start_market", "--symbols", str(symbols), "--simulator",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        line = b""
        while not line.strip().isdigit():
            line = await asyncio.wait_for(process.stdout.readline(), 120)
            if not line:
                raise RuntimeError("the simulator ended")
        yield f"http://127.0.0.1:{int(line)}"
    finally:
        process.kill()
        await process.wait()


async def requests(base: str) -> Counter[str]:
    """REST requests that the simulator has seen, by endpoint."""
    async with aiohttp.ClientSession() as session, session.get(f"{base}/control/stats") as answer:
        return Counter((await answer.json())["requests"])


async def whole_market(settings: Settings, base: str) -> dict[str, Any]:
    """The first answers alone, then a whole filling with the grouped days."""
    told: dict[str, Reference] = {}

    async def publish(references: Iterable[Reference]) -> None:
        told.update({each.symbol: each for each in references})

    async with open_cache(settings) as cache:
        before, began_s = await requests(base), time.perf_counter()
        market = WholeMarket(cache, TradingCalendar(), DAY)
        assert await market.gather(), market.failed
        first_s, first = time.perf_counter() - began_s, sum((await requests(base) - before).values())
        before, began_s = await requests(base), time.perf_counter()
        await MarketFilling(cache, TradingCalendar(), publish).fill(DAY)
        all_s, total = time.perf_counter() - began_s, sum((await requests(base) - before).values())
    complete = sum(each.previous_day is not None and each.avg_volume is not None for each in told.values())
    return {
        "first_answers": {"seconds": round(first_s, 2), "requests": first, "symbols": len(market.symbols)},
        "with_grouped_days": {"seconds": round(all_s, 2), "requests": total, "symbols": complete},
    }


async def by_ticker(settings: Settings, base: str, symbols: list[str], of: int) -> dict[str, Any]:
    """Some symbols by ticker, and what all of them would take."""
    async with open_cache(settings) as cache:
        before, began_s = await requests(base), time.perf_counter()
        await warm(cache, symbols)
        seconds, asked = time.perf_counter() - began_s, sum((await requests(base) - before).values())
    share = of / len(symbols)
    return {
        "symbols": len(symbols),
        "seconds": round(seconds, 2),
        "requests": asked,
        "seconds_for_all": round(seconds * share),
        "requests_for_all": round(asked * share),
    }


async def measure(symbols: int, some: int) -> dict[str, Any]:
    """Both ways, each with an empty Redis."""
    with tempfile.TemporaryDirectory() as directory:
        redis = LocalRedis(Path(directory) / "redis", free_port())
        redis.start()
        try:
            redis.wait_ready()
            async with simulator(symbols) as base:
                settings = Settings.load(
                    source="massive", massive_api_key="simulator", massive_rest_url=base, redis_url=redis.url
                )
                found = {"symbols": symbols, **await whole_market(settings, base)}
                async with open_cache(settings) as cache:
                    await cache.store.client.flushdb()
                names = Simulator(symbols=symbols, seed=5).model.universe.tickers[:some]
                return found | {"by_ticker": await by_ticker(settings, base, list(names), symbols)}
        finally:
            redis.stop()


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--symbols", type=int, default=12_000)
    parser.add_argument("--by-ticker", type=int, default=500)
    parser.add_argument("--simulator", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.simulator:
        asyncio.run(serve_simulator(given.symbols))
        return
    figures = asyncio.run(measure(given.symbols, given.by_ticker))
    for name in ("first_answers", "with_grouped_days", "by_ticker"):
        print(f"{name:<18} " + "  ".join(f"{key} {value:,}" for key, value in figures[name].items()))
    keep("start_market", figures)


if __name__ == "__main__":
    main()
