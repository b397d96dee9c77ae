"""Redis stopped and started under a running cache."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient

from app.gateway.http.reference import reference_routes
from app.local.redis import LocalRedis
from app.reference.cache import MarketDataCache
from app.reference.opening import open_cache
from app.reference.records import State
from producers.simulator.server import Simulator
from tests.conftest import free_port
from tests.eventually import eventually
from tests.integration.reference.cache_world import requests, settings, simulator

pytestmark = pytest.mark.verify


@dataclass
class Outage:
    """A Redis that can be stopped, and a cache on it."""

    redis: LocalRedis
    market: Simulator
    cache: MarketDataCache

    async def stop(self) -> None:
        await asyncio.to_thread(self.redis.stop)

    async def start(self) -> None:
        self.redis.start()
        await asyncio.to_thread(self.redis.wait_ready)


@pytest.fixture
async def outage(tmp_path: Path) -> AsyncIterator[Outage]:
    redis = LocalRedis(tmp_path, free_port())
    redis.start()
    try:
        await asyncio.to_thread(redis.wait_ready)
        async with simulator() as market:
            wanted = settings(redis.url, market.rest_url, cache_memory_ttl_s=0.2)
            async with open_cache(wanted) as cache:
                yield Outage(redis, market, cache)
    finally:
        redis.stop()


async def test_without_redis_memory_answers_the_rest_is_unavailable_and_its_return_is_noticed(outage: Outage) -> None:
    known, other, third = outage.market.model.universe.tickers[:3]
    before = await outage.cache.get_free_float(known)
    assert before.state is State.FRESH
    await outage.stop()

    async def stale() -> bool:
        answer = await outage.cache.get_free_float(known)
        assert answer.value == before.value
        return answer.state is State.STALE

    await eventually(stale, interval_s=0.05)
    answer = await outage.cache.get_free_float(other)
    assert (answer.value, answer.state, answer.reason) == (None, State.UNAVAILABLE, "redis_down")
    assert await outage.cache.read("mdc:anything") is None
    assert not await outage.cache.write(1, "mdc:anything")
    assert await outage.cache.broadcast(1, "mdc-anything") == 0
    assert not await outage.cache.delete("mdc:anything")
    assert requests(outage.market)["floats"] == 1

    api = FastAPI()
    api.include_router(reference_routes(lambda _: outage.cache))
    async with AsyncClient(transport=ASGITransport(app=api), base_url="http://gateway") as client:
        assert (await client.get(f"/api/float/{known}")).json()["state"] == "stale"
        refused = await client.get(f"/api/float/{other}")
        assert refused.status_code == 503
        assert "Redis is down" in refused.json()["detail"]
        assert (await client.get("/api/cache/stats")).json()["fleet"] is None

    await outage.start()

    async def fresh() -> bool:
        return (await outage.cache.get_free_float(third)).state is State.FRESH

    await eventually(fresh)
    assert (await outage.cache.get_free_float(other)).state is State.FRESH


async def test_while_redis_is_down_an_answer_takes_no_time_out(outage: Outage) -> None:
    await outage.stop()
    tickers = outage.market.model.universe.tickers
    for ticker in tickers[:4]:  # the breaker opens
        await outage.cache.get_free_float(ticker)
    loop = asyncio.get_running_loop()
    began = loop.time()
    answers = await asyncio.gather(*(outage.cache.get_free_float(ticker) for ticker in tickers for _ in range(50)))
    assert {answer.state for answer in answers} == {State.UNAVAILABLE}
    assert loop.time() - began < 1.0


async def test_a_cache_opens_without_redis_and_hears_of_invalidations_once_it_is_there(outage: Outage) -> None:
    await outage.stop()
    wanted = settings(outage.redis.url, outage.market.rest_url, redis_timeout_s=0.3)
    ticker = outage.market.model.universe.tickers[0]
    async with open_cache(wanted) as second:
        assert (await second.get_free_float(ticker)).state is State.UNAVAILABLE
        await outage.start()

        async def both_fresh() -> bool:
            answers = [await cache.get_free_float(ticker) for cache in (second, outage.cache)]
            return all(answer.state is State.FRESH for answer in answers)

        await eventually(both_fresh)

        async def heard() -> bool:
            await outage.cache.write(77.0, f"mdc:free_float:{ticker}", 60)
            return second.statistics().counts.invalidations > 0

        await eventually(heard)

        async def changed() -> bool:
            return (await second.get_free_float(ticker)).value == 77.0

        await eventually(changed)
