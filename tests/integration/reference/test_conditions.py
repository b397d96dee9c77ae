"""What prints count for follows the vendor's table of conditions, which one process asks for once a day."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from app.market.trade_conditions import BUILT_IN, ConditionTable, Counts
from app.reference.cache import MarketDataCache
from app.reference.conditions import Conditions
from app.reference.opening import open_cache
from app.reference.store import PREFIX
from producers.simulator import Simulator, rest
from producers.simulator.conditions import conditions as of_the_vendor
from tests.integration.reference.cache_world import clean, misbehave, requests, settings, simulator

TEN_ET_MS = 1_789_740_000_000


@pytest.fixture
async def market() -> AsyncIterator[Simulator]:
    async with simulator() as running:
        yield running


@pytest.fixture
async def url(redis_url: str) -> str:
    return await clean(redis_url)


@pytest.fixture
async def cache(url: str, market: Simulator) -> AsyncIterator[MarketDataCache]:
    async with open_cache(settings(url, market.rest_url)) as opened:
        yield opened


def answer(monkeypatch: pytest.MonkeyPatch, *rows: dict[str, Any], without: int | None = None) -> None:
    """Have the vendor's table be another one: with these rows, without an id."""
    kept = [row for row in of_the_vendor("trade") if row["id"] not in {without, *(each["id"] for each in rows)}]
    monkeypatch.setattr(rest, "conditions", lambda _=None: [*kept, *rows])


def row(number: int, name: str, *, high_low: bool, open_close: bool, volume: bool) -> dict[str, Any]:
    rules = {"updates_high_low": high_low, "updates_open_close": open_close, "updates_volume": volume}
    return {
        "id": number, "type": "sale_condition", "name": name, "asset_class": "stocks", "data_types": ["trade"],
        "update_rules": {"consolidated": rules, "market_center": rules},
    }  # fmt: skip


async def test_one_process_asks_once_a_day_and_all_go_by_its_answer(
    market: Simulator, cache: MarketDataCache, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(
        monkeypatch,
        row(14, "Intermarket Sweep", high_low=True, open_close=True, volume=False),
        row(63, "A New One", high_low=False, open_close=False, volume=True),
        without=4,
    )
    assert await Conditions(cache).fetch()
    async with open_cache(settings(url, market.rest_url)) as other:
        assert await Conditions(other).fetch(), "somebody has asked"
        known = await Conditions(other).known()
    assert known is not None
    assert requests(market)["conditions"] == 1
    table = ConditionTable()
    assert table.counts((14,), 10.0, TEN_ET_MS) == Counts.ALL
    assert table.names((63,)) == ("condition 63",)
    table.replace(known)
    assert table.counts((14,), 10.0, TEN_ET_MS) == Counts.ALL & ~Counts.VOLUME
    assert table.counts((63,), 10.0, TEN_ET_MS) == Counts.VOLUME, "who set no price was not made by the quote"
    assert table.names((63, 12)) == ("A New One", "Form T/Extended Hours")
    assert known[4] == BUILT_IN[4], "what the vendor does not name is as it was built in"


async def test_the_vendors_table_counts_as_the_built_in_copy_does(market: Simulator, cache: MarketDataCache) -> None:
    await Conditions(cache).fetch()
    known = await Conditions(cache).known()
    assert known is not None
    assert {code: each.counts for code, each in known.items()} == {code: each.counts for code, each in BUILT_IN.items()}


async def test_a_plan_without_the_table_keeps_the_built_in_copy_and_is_said_once(
    market: Simulator, cache: MarketDataCache
) -> None:
    await misbehave(market, rest_status=403, rest_times=100)
    conditions = Conditions(cache)
    with capture_logs() as logs:
        for _ in range(3):
            assert await conditions.fetch(), "a refusal is an answer"
    assert [entry["event"] for entry in logs if entry["log_level"] == "warning"] == ["rest_not_in_plan"]
    assert requests(market)["conditions"] == 1
    assert await conditions.known() is None


async def test_what_is_no_table_changes_nothing_is_said_once_and_is_asked_for_again(
    market: Simulator, cache: MarketDataCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    conditions = Conditions(cache)
    with capture_logs() as logs:
        await misbehave(market, rest_garbage=True)
        assert not await conditions.fetch()
        await misbehave(market, reset=True)
        monkeypatch.setattr(rest, "conditions", lambda _=None: [])
        assert not await conditions.fetch()
        # An answer by which nothing sets a price is no table either.
        answer(monkeypatch, row(0, "Regular Sale", high_low=False, open_close=False, volume=False))
        assert not await conditions.fetch()
    said = [entry for entry in logs if entry["event"] == "conditions_failed"]
    assert len(said) == 1
    assert "/v3/reference/conditions" in said[0]["error"]
    assert await conditions.known() is None
    monkeypatch.undo()
    assert await conditions.fetch()
    assert await conditions.known() is not None


async def test_without_redis_the_table_that_is_known_stays(market: Simulator, url: str) -> None:
    async with open_cache(settings("redis://127.0.0.1:1/0", market.rest_url)) as cache:
        assert await Conditions(cache).fetch()
        assert await Conditions(cache).known() is None


async def test_a_kept_table_that_cannot_be_read_is_none(market: Simulator, cache: MarketDataCache) -> None:
    await Conditions(cache).fetch()
    await cache.write({"14": "a text"}, f"{PREFIX}:conditions")
    assert await Conditions(cache).known() is None
