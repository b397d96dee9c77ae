"""What the tests of MarketDataCache stand on: a clean Redis database, the simulator's REST, processes."""

import asyncio
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import msgspec
from redis.asyncio import Redis

from app.reference.records import Kind
from app.settings import Settings
from producers.simulator.server import Simulator
from tests.integration.reference.cache_child import Order, Result

#: The tests' own database: others of the session use the first one.
DATABASE = 7


@asynccontextmanager
async def simulator(symbols: int = 20) -> AsyncIterator[Simulator]:
    """A simulated market that is asked for its REST only: its clock stands."""
    async with Simulator(symbols=symbols, seed=3, events_per_s=1, start="10:00") as running:
        running.clock.pause()
        yield running


async def clean(redis_url: str) -> str:
    """The URL of the tests' database, emptied."""
    url = f"{redis_url.rsplit('/', 1)[0]}/{DATABASE}"
    async with Redis.from_url(url) as client:
        await client.flushdb()
    return url


def settings(redis_url: str, rest_url: str, **others: Any) -> Settings:
    """Settings that are quick about waiting."""
    quick: dict[str, Any] = {
        "source": "massive", "massive_api_key": "simulator", "massive_rest_url": rest_url, "redis_url": redis_url,
        "rest_backoff_s": 0.01, "rest_timeout_s": 5.0, "rest_requests_per_s": 10_000.0, "rest_burst": 100,
        "redis_timeout_s": 1.0, "cache_memory_ttl_s": 30.0,
    }  # fmt: skip
    return Settings.load(**(quick | others))


async def misbehave(running: Simulator, **faults: Any) -> None:
    """Ask the simulator for faults."""
    async with httpx.AsyncClient(trust_env=False) as client:
        (await client.post(f"{running.rest_url}/control/faults", json=faults)).raise_for_status()


def requests(running: Simulator) -> Counter[str]:
    """REST requests that the simulator has seen, by endpoint."""
    return Counter(running.statistics()["requests"])


class Child:
    """A process that asks the cache."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    @classmethod
    async def start(cls, wanted: Settings, order: Order) -> "Child":
        """A process that is ready to ask."""
        given = wanted.model_dump(mode="json", include=wanted.model_fields_set - {"massive_api_key"})
        environment = {f"TAPEREADER_{name.upper()}": str(value) for name, value in given.items()}
        key = wanted.api_key() or ""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.integration.reference.cache_child", msgspec.json.encode(order).decode(),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            env=os.environ | environment | {"MASSIVE_API_KEY": key},
        )  # fmt: skip
        child = cls(process)
        line = await child._line()
        assert line == b"ready\n", line
        return child

    async def _line(self) -> bytes:
        assert self.process.stdout is not None
        return await asyncio.wait_for(self.process.stdout.readline(), 120)

    def go(self) -> None:
        """Let it ask."""
        assert self.process.stdin is not None
        self.process.stdin.write(b"go\n")

    async def result(self) -> Result:
        """What it got; it has ended then."""
        result = msgspec.json.decode(await self._line(), type=Result)
        assert await asyncio.wait_for(self.process.wait(), 20) == 0
        return result

    async def kill(self) -> None:
        """End it without a chance to say so."""
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()


@asynccontextmanager
async def children(wanted: Settings, kind: Kind, orders: list[list[str]], each: int = 1) -> AsyncIterator[list[Child]]:
    """A process for each list of tickers, none of them left at the end."""
    started: list[Child] = []
    try:
        started += await asyncio.gather(*(Child.start(wanted, Order(kind, tickers, each)) for tickers in orders))
        yield started
    finally:
        for child in started:
            await child.kill()
