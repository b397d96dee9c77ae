"""MarketDataCache measured: reads from memory and from Redis, the two REST clients, and a worker beside a slow REST.

`python -m benchmarks.cache` starts its own Redis and, in a process of its own, the simulator. Rows are printed as they
are measured and kept in `benchmarks/results/cache.json`.
"""

import asyncio
import json
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import msgspec
import redis
import structlog
from key_value.aio.stores.memory import MemoryStore
from key_value.aio.stores.redis import RedisStore as KeyValueRedis
from key_value.aio.wrappers.passthrough_cache import PassthroughCacheWrapper
from massive import RESTClient
from redis.asyncio import Redis

from app.local.redis import LocalRedis
from app.market.events import Aggregate
from app.reference.cache import MarketDataCache
from app.reference.opening import open_cache
from app.reference.records import Kind
from app.reference.warm import warm
from app.settings import Settings
from benchmarks.record import keep
from producers.simulator.server import Simulator

READS, CONCURRENT, ROUNDS = 4000, 32, 3
#: What was measured, by section and row.
figures: dict[str, Any] = {"reads": {}, "rest_clients": {}}


async def serve_simulator() -> None:
    """The simulator on a free port, which is printed, until stdin ends."""
    async with Simulator(symbols=600, seed=5, events_per_s=1, start="10:00") as market:
        market.clock.pause()
        print(market.port, flush=True)
        await asyncio.to_thread(sys.stdin.read)


@asynccontextmanager
async def simulator() -> AsyncIterator[str]:
    """URL of a simulator in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.cache", "--simulator",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        line = b""
        while not line.strip().isdigit():
            line = await asyncio.wait_for(process.stdout.readline(), 60)
            if not line:
                raise RuntimeError("the simulator ended")
        yield f"http://127.0.0.1:{int(line)}"
    finally:
        process.kill()
        await process.wait()


async def timed(call: Callable[[], Awaitable[Any]], concurrent: int = 1) -> tuple[float, float]:
    """Calls a second, and the 99th percentile of a call in µs: the median of the rounds of both."""
    rates, tails = [], []
    for _ in range(ROUNDS):
        took: list[float] = []

        async def work(took: list[float]) -> None:
            for _ in range(READS // concurrent):
                began = time.perf_counter()
                await call()
                took.append(time.perf_counter() - began)

        began = time.perf_counter()
        await asyncio.gather(*(work(took) for _ in range(concurrent)))
        rates.append(len(took) / (time.perf_counter() - began))
        tails.append(sorted(took)[int(len(took) * 0.99)] * 1e6)
    return statistics.median(rates), statistics.median(tails)


def show(name: str, rate: float, tail_us: float) -> None:
    """One row."""
    figures["reads"][name] = {"reads_per_s": round(rate), "p99_us": round(tail_us)}
    print(f"| {name} | {rate:,.0f} | {tail_us:,.0f} |", flush=True)


async def reads(settings: Settings) -> None:
    """Reads of one warm snapshot, by every way to it."""
    print("| read of a snapshot | reads/s | p99 µs |\n|---|---|---|")
    no_memory = settings.model_copy(update={"cache_memory_entries": 0})
    async with open_cache(settings) as cache, open_cache(no_memory) as bare:
        ticker = "AAPL"
        data = await cache.read(f"mdc:snapshots:{ticker}") or (await cache.get_ticker_snapshot(ticker)).value
        assert data is not None
        key = f"mdc:snapshots:{ticker}"
        show("MarketDataCache, memory", *await timed(lambda: cache.get_ticker_snapshot(ticker)))
        show("MarketDataCache, Redis", *await timed(lambda: bare.get_ticker_snapshot(ticker)))
        show(
            f"MarketDataCache, Redis, {CONCURRENT} at once (shared)",
            *await timed(lambda: bare.get_ticker_snapshot(ticker), CONCURRENT),
        )
        async with Redis.from_url(settings.redis_address) as client:

            async def plain() -> Any:
                return json.loads(await client.get(key) or b"null")

            show("redis-py asyncio + json", *await timed(plain))
            show(f"redis-py asyncio + json, {CONCURRENT} at once", *await timed(plain, CONCURRENT))
        await others(settings, key)


async def others(settings: Settings, key: str) -> None:
    """A blocking client, and py-key-value's wrappers."""
    with redis.Redis.from_url(settings.redis_address) as blocking:

        async def block() -> Any:
            return json.loads(blocking.get(key))

        show("redis-py blocking + json (holds the loop up)", *await timed(block))
        value = json.loads(blocking.get(key))
    async with KeyValueRedis(url=settings.redis_address) as store:
        await store.put("AAPL", value, collection="snapshots", ttl=600)
        show("py-key-value RedisStore", *await timed(lambda: store.get("AAPL", collection="snapshots")))
        layered = PassthroughCacheWrapper(primary_key_value=store, cache_key_value=MemoryStore())
        show("py-key-value PassthroughCache", *await timed(lambda: layered.get("AAPL", collection="snapshots")))


async def rest_clients(base: str) -> None:
    """Snapshots a second by httpx, by aiohttp and by the vendor's SDK in a thread pool, 16 at once."""
    print("\n| REST client, 16 at once | requests/s | CPU ms/request |\n|---|---|---|")
    total = 400
    async with httpx.AsyncClient(base_url=base, headers={"Authorization": "Bearer simulator"}) as client:

        async def by_httpx() -> None:
            await client.get("/v2/snapshot/locale/us/markets/stocks/tickers/AAPL")

        await rest_row("httpx", by_httpx, total)
    async with aiohttp.ClientSession(base_url=base, headers={"Authorization": "Bearer simulator"}) as session:

        async def by_aiohttp() -> None:
            async with session.get("/v2/snapshot/locale/us/markets/stocks/tickers/AAPL") as response:
                await response.read()

        await rest_row("aiohttp (what the cache uses)", by_aiohttp, total)
    sdk = RESTClient(api_key="simulator", base=base, maxsize=16)
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(16) as pool:

        async def by_sdk() -> None:
            await loop.run_in_executor(pool, sdk.get_snapshot_ticker, "stocks", "AAPL")

        await rest_row("massive SDK, 16 threads", by_sdk, total)


async def rest_row(name: str, call: Callable[[], Awaitable[None]], total: int) -> None:
    """Measure one client."""
    await asyncio.gather(*(call() for _ in range(16)))
    left = iter(range(total))

    async def work() -> None:
        for _ in left:
            await call()

    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(work() for _ in range(16)))
    wall, used = time.perf_counter() - began, time.process_time() - cpu
    figures["rest_clients"][name] = {"requests_per_s": round(total / wall), "cpu_ms": round(used / total * 1000, 2)}
    print(f"| {name} | {total / wall:,.0f} | {used / total * 1000:.2f} |", flush=True)


async def beside_slow_rest(settings: Settings, base: str) -> None:
    """Events folded a second in this process, alone and while 16 requests that take 5 s are always in flight."""
    events = [Aggregate(symbol=f"S{number % 500}", volume=1.0, close=1.0) for number in range(1000)]
    batch = msgspec.json.encode(events)
    decoder, rows = msgspec.json.Decoder(list[Aggregate]), dict[str | None, Aggregate]()

    async def fold(seconds: float) -> float:
        count, began = 0, time.process_time()
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for event in decoder.decode(batch):
                rows[event.symbol] = event
            count += 1000
            await asyncio.sleep(0)
        return count / (time.process_time() - began)

    async with open_cache(settings) as cache, httpx.AsyncClient() as control:
        await control.post(f"{base}/control/faults", json={"rest_delay_s": 5.0})
        ratios = []
        await fold(1.0)
        for number in range(ROUNDS):
            alone = await fold(3.0)
            asking = asyncio.create_task(ask(cache, f"X{number}"))
            beside = await fold(3.0)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            ratios.append(beside / alone)
        figures["beside_slow_rest"] = {"ratio": round(statistics.median(ratios), 3), "rounds": len(ratios)}
        print(
            f"\nevents folded while REST takes 5 s / alone: {statistics.median(ratios):.3f}, rounds:",
            *(f"{ratio:.3f}" for ratio in ratios),
        )


async def ask(cache: MarketDataCache, prefix: str) -> None:
    """Ask for tickers that are not cached, as many at a time as the agent of reference data does."""
    await warm(cache, [f"{prefix}{number}" for number in range(500)], [Kind.AVG_VOLUME], concurrency=CONCURRENT)


async def main() -> None:
    """Run all of it."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    server = LocalRedis(Path(tempfile.mkdtemp(prefix="tapereader-bench-")), free_port())
    server.start()
    try:
        server.wait_ready()
        async with simulator() as base:
            settings = Settings.load(
                source="massive", massive_api_key="simulator", massive_rest_url=base, redis_url=server.url
            )
            await reads(settings)
            await rest_clients(base)
            await beside_slow_rest(settings, base)
        keep("cache", figures)
    finally:
        server.stop()


def free_port() -> int:
    """A port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    asyncio.run(serve_simulator() if "--simulator" in sys.argv else main())
