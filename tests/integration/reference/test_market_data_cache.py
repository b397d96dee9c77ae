"""MarketDataCache in one process, on a real Redis and the simulator's REST."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from cryptography.fernet import Fernet
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from massive import RESTClient
from massive.rest.models import TickerSnapshot as SdkSnapshot
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from redis.asyncio import Redis

from app.gateway.http.reference import reference_routes
from app.market.calendar import TradingCalendar
from app.reference.cache import MarketDataCache
from app.reference.lookup import ReferenceLookup
from app.reference.opening import open_cache
from app.reference.prices import Price, PriceHistory
from app.reference.records import Kind, Layer, State
from app.reference.warm import warm
from producers.simulator.server import Simulator
from tests.eventually import eventually
from tests.integration.reference.cache_world import clean, misbehave, requests, settings, simulator

UNKNOWN = "ZZZZZZ"


@dataclass
class World:
    """A simulator, a Redis database, and a cache on both."""

    market: Simulator
    url: str
    cache: MarketDataCache
    redis: Redis

    def settings(self, **others: Any) -> Any:
        return settings(self.url, self.market.rest_url, **others)

    @property
    def ticker(self) -> str:
        return str(self.market.model.universe.tickers[0])


@pytest.fixture
async def world(redis_url: str) -> AsyncIterator[World]:
    url = await clean(redis_url)
    async with (
        simulator() as market,
        open_cache(settings(url, market.rest_url), seed=1) as cache,
        Redis.from_url(url) as client,
    ):
        yield World(market, url, cache, client)


@pytest.mark.parametrize("kind", list(Kind))
async def test_what_the_vendor_lacks_is_missing_and_is_not_asked_for_again(world: World, kind: Kind) -> None:
    first = await world.cache.get(kind, UNKNOWN)
    asked = requests(world.market)
    async with open_cache(world.settings()) as other:
        second = await other.get(kind, UNKNOWN)
    third = await world.cache.get(kind, UNKNOWN)
    assert [first.state, second.state, third.state] == [State.MISSING] * 3
    assert [first.layer, second.layer, third.layer] == [Layer.REST, Layer.REDIS, Layer.MEMORY]
    assert asked.total() >= 1
    assert requests(world.market) == asked
    key = f"mdc:{kind}:{UNKNOWN}"
    assert 21_500_000 < await world.redis.pttl(key) <= 21_600_000
    counts = world.cache.statistics().counts
    assert counts.memory.negative_hits == 1


async def test_a_snapshot_is_kept_as_the_sdk_reads_it(world: World) -> None:
    answer = await world.cache.get_ticker_snapshot(world.ticker)
    kept = SdkSnapshot.from_dict(await world.cache.read(f"mdc:snapshots:{world.ticker}"))
    client = RESTClient(api_key="simulator", base=world.market.rest_url)
    direct = await asyncio.to_thread(client.get_snapshot_ticker, "stocks", world.ticker)
    assert answer.value is not None
    assert answer.value.previous_day is not None
    assert kept.prev_day == direct.prev_day
    assert kept.ticker == direct.ticker == answer.value.ticker
    assert answer.value.previous_day.close == direct.prev_day.close
    assert 28_700_000 < await world.redis.pttl(f"mdc:snapshots:{world.ticker}") <= 28_800_000


async def test_the_average_volume_is_the_one_ratios_else_the_mean_of_the_bars(world: World) -> None:
    client = RESTClient(api_key="simulator", base=world.market.rest_url)
    ratios = await asyncio.to_thread(lambda: list(client.list_financials_ratios(ticker=world.ticker)))
    assert len(ratios) == 1
    assert (await world.cache.get_avg_volume(world.ticker)).value == ratios[0].average_volume

    await world.cache.forget(Kind.AVG_VOLUME, world.ticker)
    await misbehave(world.market, rest_status=403, rest_times=1)  # the plan has no ratios
    answer = await world.cache.get_avg_volume(world.ticker)
    assert requests(world.market)["aggregates"] == 1
    assert answer.value is not None
    assert answer.value > 0


async def test_a_failure_is_not_repeated_within_its_time_and_hides_no_older_value(world: World) -> None:
    await misbehave(world.market, rest_status=500, rest_times=1000)
    async with open_cache(world.settings(rest_attempts=1)) as cache:
        failed = await cache.get_free_float(world.ticker)
        assert (failed.state, failed.reason) == (State.FAILED, "http_500")
        asked = requests(world.market)
    async with open_cache(world.settings()) as other:
        assert (await other.get_free_float(world.ticker)).state is State.FAILED
    assert requests(world.market) == asked

    await misbehave(world.market, reset=True)
    await world.redis.delete(f"mdc:error:free_float:{world.ticker}")
    fresh = await world.cache.get_free_float(world.ticker)
    assert fresh.state is State.FRESH
    await world.redis.delete(f"mdc:free_float:{world.ticker}")
    for fault in ({"rest_garbage": True}, {"rest_status": 429, "rest_times": 1000}):
        await misbehave(world.market, **fault)
        await world.redis.delete(f"mdc:error:free_float:{world.ticker}")
        async with open_cache(world.settings(rest_attempts=1)) as later:
            stale = await later.get_free_float(world.ticker)
        assert (stale.state, stale.value) == (State.STALE, fresh.value)


async def test_retry_after_is_honoured_by_every_process_of_the_key(world: World) -> None:
    await misbehave(world.market, rest_status=429, rest_times=1, retry_after_s=1.0)
    loop = asyncio.get_running_loop()
    async with open_cache(world.settings()) as other:
        began = loop.time()
        first = asyncio.create_task(world.cache.get_free_float(world.ticker))
        await eventually(lambda: requests(world.market)["floats"] == 1, interval_s=0.01)
        await eventually(lambda: world.cache.statistics().counts.rest_errors == 1, interval_s=0.01)
        second = await other.get_ticker_snapshot(world.ticker)
        assert loop.time() - began >= 1.0
        assert (await first).state is second.state is State.FRESH
    assert requests(world.market)["floats"] == 2


@pytest.mark.parametrize("status", [400, 401, 404, 418])
async def test_a_refusal_is_not_retried(world: World, status: int) -> None:
    await misbehave(world.market, rest_status=status, rest_times=1000)
    await world.cache.get_free_float(world.ticker)
    assert requests(world.market)["floats"] == 1


async def test_while_rest_is_down_it_is_left_alone_and_comes_back(world: World) -> None:
    tickers = world.market.model.universe.tickers[:10]
    await misbehave(world.market, rest_status=503, rest_times=100_000)
    async with open_cache(
        world.settings(rest_attempts=1, rest_breaker_failures=3, rest_breaker_open_s=1.0, cache_error_ttl_s=0.1)
    ) as cache:
        reasons = [(await cache.get_free_float(ticker)).reason for ticker in tickers]
        assert reasons == ["http_503"] * 3 + ["breaker"] * 7
        assert requests(world.market)["floats"] == 3
        await misbehave(world.market, reset=True)

        async def back() -> bool:
            return (await cache.get_free_float(tickers[5])).state is State.FRESH

        await eventually(back)


async def test_a_slow_rest_times_out(world: World) -> None:
    await misbehave(world.market, rest_delay_s=5.0)
    async with open_cache(world.settings(rest_timeout_s=0.2, rest_attempts=1)) as cache:
        answer = await cache.get_free_float(world.ticker)
    assert (answer.state, answer.reason) == (State.FAILED, "timeout")


async def test_a_caller_that_gives_up_does_not_take_the_others_request_with_it(world: World) -> None:
    await misbehave(world.market, rest_delay_s=0.5)
    impatient = asyncio.create_task(world.cache.get_free_float(world.ticker))
    patient = asyncio.create_task(world.cache.get_free_float(world.ticker))
    await eventually(lambda: requests(world.market)["floats"] == 1, interval_s=0.01)
    impatient.cancel()
    assert (await patient).state is State.FRESH
    assert requests(world.market)["floats"] == 1


async def test_a_delete_or_a_write_elsewhere_ends_what_is_in_memory(world: World) -> None:
    async with open_cache(world.settings()) as other:
        before = await world.cache.get_free_float(world.ticker)
        assert (await world.cache.get_free_float(world.ticker)).layer is Layer.MEMORY
        await other.write(12345.0, f"mdc:free_float:{world.ticker}", 60)

        async def changed() -> bool:
            return (await world.cache.get_free_float(world.ticker)).value == 12345.0

        await eventually(changed)
        assert before.value != 12345.0
        assert await other.forget(Kind.FREE_FLOAT, world.ticker)

        async def fetched_again() -> bool:
            return (await world.cache.get_free_float(world.ticker)).value == before.value

        await eventually(fetched_again)
    assert requests(world.market)["floats"] == 2


async def test_a_deleted_snapshot_is_fetched_again(world: World) -> None:
    await world.cache.get_ticker_snapshot(world.ticker)
    assert await world.cache.delete_ticker_snapshot(world.ticker)
    assert not await world.cache.delete_ticker_snapshot(world.ticker)
    await world.cache.get_ticker_snapshot(world.ticker)
    assert requests(world.market)["snapshot"] == 2


async def test_a_hot_value_is_refreshed_before_it_runs_out(world: World) -> None:
    async with open_cache(
        world.settings(cache_free_float_ttl_s=3.0, cache_refresh_fraction=0.9, cache_memory_ttl_s=0.05)
    ) as cache:
        assert (await cache.get_free_float(world.ticker)).layer is Layer.REST

        async def refreshed() -> bool:
            answer = await cache.get_free_float(world.ticker)
            assert answer.layer is not Layer.REST, "the value ran out"
            return requests(world.market)["floats"] >= 2

        await eventually(refreshed, interval_s=0.02)


async def test_values_are_encrypted_compressed_and_a_wrong_key_is_a_miss(world: World) -> None:
    key = Fernet.generate_key().decode()
    key_name = f"mdc:snapshots:{world.ticker}"
    async with open_cache(world.settings(cache_encryption_key=key, cache_compress_bytes=64)) as cache:
        value = (await cache.get_ticker_snapshot(world.ticker)).value
        kept = await world.redis.get(key_name)
        assert kept is not None
        assert world.ticker.encode() not in kept
    new = Fernet.generate_key().decode()
    async with open_cache(world.settings(cache_encryption_key=f"{new},{key}")) as rotated:
        again = await rotated.get_ticker_snapshot(world.ticker)
        assert (again.layer, again.value) == (Layer.REDIS, value)
    async with open_cache(world.settings(cache_encryption_key=new)) as wrong:
        assert (await wrong.get_ticker_snapshot(world.ticker)).layer is Layer.REST
        assert wrong.statistics().counts.undecodable == 1
    assert requests(world.market)["snapshot"] == 2


async def test_json_by_key_and_messages(world: World) -> None:
    assert await world.cache.write({"a": [1, None]}, "mdc:test:x", 60)
    assert await world.cache.write(0, "mdc:test:zero")
    assert await world.cache.read("mdc:test:x") == {"a": [1, None]}
    assert await world.cache.read("mdc:test:zero") == 0
    assert await world.cache.read("mdc:test:none") is None
    assert await world.redis.pttl("mdc:test:zero") == -1
    assert 0 < await world.redis.pttl("mdc:test:x") <= 60_000
    async with world.redis.pubsub() as channel:
        await channel.subscribe("mdc-test")
        await eventually(lambda: channel.get_message(timeout=1.0))
        assert await world.cache.broadcast({"hello": 1}, "mdc-test") == 1
        news = await channel.get_message(timeout=5.0)
        assert news is not None
        assert msgspec.json.decode(news["data"]) == {"hello": 1}
    assert await world.cache.delete("mdc:test:x")
    assert await world.cache.read("mdc:test:x") is None


async def test_a_lookup_composes_one_reference_and_tells_missing_from_failed(world: World) -> None:
    lookup = ReferenceLookup(world.cache, TradingCalendar())
    day = world.market.model.day.day
    found = await lookup.reference(world.ticker, day)
    reference = found.reference
    assert found.settled
    assert reference is not None
    assert reference.previous_day is not None
    assert (reference.symbol, reference.day) == (world.ticker, day)
    assert reference.avg_volume
    assert reference.free_float

    nothing = await lookup.reference(UNKNOWN, day)
    assert nothing.settled
    assert nothing.reference is not None
    unknown = nothing.reference
    assert [unknown.previous_day, unknown.avg_volume, unknown.free_float] == [None] * 3

    await misbehave(world.market, rest_status=400, rest_times=1000)
    other = await lookup.reference(world.market.model.universe.tickers[1], day)
    assert (other.reference, other.settled) == (None, False)


async def test_warming_fetches_each_value_once_and_says_how_far_it_is(world: World) -> None:
    tickers = [*world.market.model.universe.tickers[:5], UNKNOWN]
    steps: list[tuple[int, int]] = []
    warmed = await warm(world.cache, tickers, concurrency=4, progress=lambda done, of: steps.append((done, of)))
    assert warmed.asked == 18
    assert warmed.states == {State.FRESH: 15, State.MISSING: 3}
    assert steps == [(done, 18) for done in range(1, 19)]
    asked = requests(world.market)
    await warm(world.cache, tickers)
    assert requests(world.market) == asked


async def test_prices_by_time(world: World) -> None:
    history = PriceHistory(world.cache.store, most=3)
    for event_ms, price in ((1000, 1.5), (2000, 2.5), (2000, 2.75), (3000, 3.0), (4000, 4.0)):
        await history.store("AAPL", price, event_ms)
    assert await history.latest("AAPL") == Price(4000, 4.0)
    assert await history.at("AAPL", 2999) == Price(2000, 2.75)
    assert await history.at("AAPL", 1999) is None  # only the newest three are kept
    assert await history.clean("AAPL", 3000) == 1
    assert await history.at("AAPL", 3000) == Price(3000, 3.0)
    assert await history.latest("MSFT") is None


async def test_the_gateways_routes(world: World) -> None:
    api = FastAPI()
    api.include_router(reference_routes(lambda _: world.cache, wait_s=5))
    async with AsyncClient(transport=ASGITransport(app=api), base_url="http://gateway") as client:
        found = await client.get(f"/api/snapshot/{world.ticker}")
        assert found.status_code == 200
        assert found.json()["state"] == "fresh"
        assert found.json()["value"]["ticker"] == world.ticker
        assert (await client.get(f"/api/avg-volume/{world.ticker}")).json()["value"] > 0
        missing = await client.get(f"/api/float/{UNKNOWN}")
        assert (missing.status_code, missing.json()["value"]) == (404, None)
        assert (await client.get("/api/cache/stats")).json()["process"]["counts"]["rest_requests"] >= 3
        assert (await client.get("/api/float/not%20a%20ticker")).status_code == 422


async def test_metrics_have_their_names_and_no_symbols(redis_url: str) -> None:
    url = await clean(redis_url)
    reader = InMemoryMetricReader()
    async with (
        simulator() as market,
        open_cache(settings(url, market.rest_url, rest_attempts=1), meters=MeterProvider([reader])) as cache,
    ):
        ticker = market.model.universe.tickers[0]
        for kind in Kind:
            await cache.get(kind, ticker)
            await cache.get(kind, ticker)
        await cache.get_free_float(UNKNOWN)
        await cache.get_free_float(UNKNOWN)
        await misbehave(market, rest_status=500, rest_times=1000)
        await cache.get_free_float(market.model.universe.tickers[1])
    data = reader.get_metrics_data()
    assert data is not None
    metrics = {metric.name: metric.data.data_points for metric in data.resource_metrics[0].scope_metrics[0].metrics}
    totals = {name: sum(getattr(point, "value", 0) for point in points) for name, points in metrics.items()}
    assert totals["mdc.hit"] == 4
    assert totals["mdc.negative_hit"] == 1
    assert totals["mdc.http_error"] == totals["mdc.error"] == 1
    for name in ("snapshot", "avg_volume", "free_float"):
        assert sum(getattr(point, "count", 0) for point in metrics[f"mdc.{name}_api_duration"]) >= 1
    assert {"mdc.read", "mdc.write", "mdc.broadcast", "mdc.delete", "mdc.timeout_error"} <= metrics.keys()
    attributes = {key for points in metrics.values() for point in points for key in point.attributes or {}}
    assert attributes <= {"outcome", "reason"}
