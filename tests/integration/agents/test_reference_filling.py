"""A worker asks for the reference data of what trades: rows are null until it is known, then complete."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from aiokafka import AIOKafkaProducer

from app.kafka import topics
from app.kafka.admin import ensure_topics
from app.market.events import Aggregate
from app.reference.conditions import Conditions
from app.reference.opening import open_cache
from tests.consistency.harness import table
from tests.eventually import eventually
from tests.integration.agents.workers import PARTITIONS, Workers, own_broker
from tests.integration.reference.cache_world import clean, misbehave, requests, settings, simulator


@pytest.mark.timeout(180)
async def test_rows_are_null_until_rest_answers_and_complete_afterwards(tmp_path: Path, redis_url: str) -> None:
    """REST fails at first; the worker ranks all the same, and nothing unknown becomes 0."""
    url = await clean(redis_url)
    with own_broker(tmp_path / "kafka") as bootstrap:
        await ensure_topics(bootstrap, topics.ALL_TOPICS, PARTITIONS)
        async with simulator() as market:
            tickers = market.model.universe.tickers[:8]
            await misbehave(market, rest_status=500, rest_times=100_000)
            workers = Workers(
                # The simulated market is at 10:00 of its day, which a worker for the vendor may take for one to come.
                bootstrap, tmp_path, source="simulator", simulator_port=market.rest_url.rpartition(":")[2],
                redis_url=url, rest_backoff_s="0.01", rest_attempts="1", cache_error_ttl_s="1",
                # What failed too often is asked for again in 15 s by default.
                rest_breaker_open_s="1",
            )  # fmt: skip
            workers.start()
            try:
                await trade(bootstrap, tickers, market.clock.now_ms())

                async def ranked_without() -> bool:
                    rows = await table(bootstrap, topics.MARKET_QUOTES)
                    asked = sum(requests(market).values()) > 0
                    return asked and rows.keys() == set(tickers) and bool(await table(bootstrap, topics.LEADERBOARDS))

                await eventually(ranked_without, timeout_s=60, interval_s=0.5)
                for row in (await table(bootstrap, topics.MARKET_QUOTES)).values():
                    assert (row["prev_day_close"], row["avg_volume"], row["pct_change"]) == (None, None, None)

                await misbehave(market, reset=True)

                async def complete() -> bool:
                    rows = await table(bootstrap, topics.MARKET_QUOTES)
                    return all(row["prev_day_close"] and row["avg_volume"] for row in rows.values())

                await eventually(complete, timeout_s=90, interval_s=0.5)

                async def of_the_whole_market() -> bool:
                    found = await table(bootstrap, topics.MARKET_REFERENCE)
                    return found.keys() == set(market.model.universe.tickers)

                # Those that do not trade follow: what the rows need is asked for first.
                await eventually(of_the_whole_market, timeout_s=90, interval_s=0.5)
                found = await table(bootstrap, topics.MARKET_REFERENCE)
                assert {row["day"] for row in found.values()} == {market.model.day.day}
            finally:
                workers.stop()


@pytest.mark.verify
@pytest.mark.timeout(180)
async def test_a_worker_asks_for_the_table_of_conditions(tmp_path: Path, redis_url: str) -> None:
    """The one that owns the trades' first partition; the others, and gateways, find it in Redis."""
    url = await clean(redis_url)
    with own_broker(tmp_path / "kafka") as bootstrap:
        await ensure_topics(bootstrap, topics.ALL_TOPICS, PARTITIONS)
        async with simulator() as market:
            workers = Workers(
                bootstrap, tmp_path, source="simulator", redis_url=url,
                simulator_port=market.rest_url.rpartition(":")[2],
            )  # fmt: skip
            workers.start()
            try:

                async def has_the_conditions() -> bool:
                    async with open_cache(settings(url, market.rest_url)) as cache:
                        known = await Conditions(cache).known()
                    return known is not None and known[12].name == "Form T/Extended Hours"

                await eventually(has_the_conditions, timeout_s=90, interval_s=0.5)
            finally:
                workers.stop()


async def trade(bootstrap: str, tickers: Sequence[str], start_ms: int) -> None:
    """A bar of each ticker."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    await producer.start()
    try:
        for number, ticker in enumerate(tickers):
            bar = Aggregate(
                symbol=ticker, volume=100.0, accumulated_volume=1000.0 * (number + 1), close=10.5, high=10.6, low=10.4,
                open=10.0, official_open_price=10.0, start_timestamp=start_ms, end_timestamp=start_ms + 1000,
            )  # fmt: skip
            await producer.send(topics.AGGREGATES.name, key=ticker.encode(), value=msgspec.json.encode(bar))
    finally:
        await producer.stop()
