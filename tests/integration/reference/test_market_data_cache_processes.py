"""One REST request, however many processes ask."""

import asyncio
from collections import Counter

import pytest
from redis.asyncio import Redis

from app.reference.limits import limit_keys
from app.reference.records import Kind
from app.reference.store import Keys
from tests.eventually import eventually
from tests.integration.reference.cache_child import Result
from tests.integration.reference.cache_world import Child, children, clean, misbehave, requests, settings, simulator

pytestmark = pytest.mark.verify


async def together(started: list[Child]) -> list[Result]:
    for child in started:
        child.go()
    return await asyncio.gather(*(child.result() for child in started))


def states(results: list[Result]) -> Counter[str]:
    return sum((Counter(result.states) for result in results), Counter())


async def test_a_thousand_requests_from_four_processes_make_one_rest_call(redis_url: str) -> None:
    url = await clean(redis_url)
    async with simulator() as market:
        await misbehave(market, rest_delay_s=0.3)
        wanted = settings(url, market.rest_url)
        async with children(wanted, Kind.SNAPSHOT, [["AAPL"]] * 4, each=250) as started:
            results = await together(started)
        assert states(results) == {"fresh": 1000}
        assert requests(market)["snapshot"] == 1


@pytest.mark.parametrize("status", [400, 500], ids=["refused", "broken"])
async def test_when_the_first_call_fails_exactly_one_other_follows(redis_url: str, status: int) -> None:
    url = await clean(redis_url)
    async with simulator() as market:
        await misbehave(market, rest_delay_s=0.3, rest_status=status, rest_times=1)
        wanted = settings(url, market.rest_url, rest_attempts=1)
        async with children(wanted, Kind.FREE_FLOAT, [["AAPL"]] * 4, each=250) as started:
            results = await together(started)
        assert states(results) == {"fresh": 1000}
        assert requests(market)["floats"] == 2
        assert sum(result.report.counts.takeovers for result in results) == 1


async def test_when_both_calls_fail_nobody_else_asks(redis_url: str) -> None:
    url = await clean(redis_url)
    async with simulator() as market:
        await misbehave(market, rest_delay_s=0.2, rest_status=500, rest_times=1000)
        wanted = settings(url, market.rest_url, rest_attempts=1)
        async with children(wanted, Kind.FREE_FLOAT, [["AAPL"]] * 4, each=250) as started:
            results = await together(started)
        assert states(results) == {"failed": 1000}
        assert requests(market)["floats"] == 2


async def test_a_killed_holder_is_succeeded_by_one_when_its_lock_runs_out(redis_url: str) -> None:
    url = await clean(redis_url)
    async with simulator() as market, Redis.from_url(url) as client:
        await misbehave(market, rest_delay_s=1.5)
        wanted = settings(url, market.rest_url, cache_lock_ttl_s=1.0)
        async with children(wanted, Kind.SNAPSHOT, [["AAPL"]] * 4, each=50) as (holder, *others):
            holder.go()
            await eventually(lambda: requests(market)["snapshot"] == 1)
            for child in others:
                child.go()
            assert await client.exists(Keys.of(Kind.SNAPSHOT, "AAPL").lock)
            await holder.kill()
            results = await asyncio.gather(*(child.result() for child in others))
        assert states(results) == {"fresh": 150}
        assert requests(market)["snapshot"] == 2


async def test_a_request_longer_than_its_lock_keeps_the_lock(redis_url: str) -> None:
    url = await clean(redis_url)
    async with simulator() as market:
        await misbehave(market, rest_delay_s=2.0)
        wanted = settings(url, market.rest_url, cache_lock_ttl_s=0.5)
        async with children(wanted, Kind.SNAPSHOT, [["AAPL"]] * 2, each=20) as started:
            results = await together(started)
        assert states(results) == {"fresh": 40}
        assert requests(market)["snapshot"] == 1
        assert sum(result.report.counts.locks_lost for result in results) == 0


@pytest.mark.timeout(180)
async def test_two_thousand_cold_tickers_keep_to_rate_and_concurrency(redis_url: str) -> None:
    url = await clean(redis_url)
    async with simulator(symbols=2000) as market:
        tickers = list(market.model.universe.tickers)
        wanted = settings(url, market.rest_url, rest_requests_per_s=200.0, rest_burst=20, rest_concurrency=8)
        _, places = limit_keys("simulator")
        most, loop = 0, asyncio.get_running_loop()
        async with (
            Redis.from_url(url) as client,
            children(wanted, Kind.FREE_FLOAT, [tickers] * 4) as started,
        ):
            began = loop.time()
            asking = asyncio.ensure_future(together(started))
            while not asking.done():
                most = max(most, await client.zcard(places))
                await asyncio.wait([asking], timeout=0.1)
            results = await asking
            took_s = loop.time() - began
        assert requests(market)["floats"] == 2000
        assert sum(states(results).values()) == 8000
        assert states(results)["failed"] == states(results)["unavailable"] == 0
        assert 1 <= most <= 8
        assert took_s >= (2000 - 20) / 200
