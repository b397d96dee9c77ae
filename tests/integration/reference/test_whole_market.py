"""The whole market's reference data by a handful of requests says what requests by ticker say."""

from collections.abc import AsyncIterator, Iterable
from datetime import date, timedelta

import pytest

from app.market.calendar import TradingCalendar
from app.market.events import Reference
from app.market.symbols import Listing
from app.reference.cache import MarketDataCache
from app.reference.directory import Directory
from app.reference.filling import MarketFilling, State
from app.reference.lookup import ReferenceLookup
from app.reference.opening import open_cache
from app.reference.records import Layer
from app.reference.records import State as CacheState
from app.reference.whole_market import Part, WholeMarket
from producers.simulator import Simulator
from tests.integration.reference.cache_world import clean, misbehave, requests, settings, simulator

SYMBOLS = 300


@pytest.fixture
async def market() -> AsyncIterator[Simulator]:
    async with simulator(SYMBOLS) as running:
        yield running


@pytest.fixture
async def cache(redis_url: str, market: Simulator) -> AsyncIterator[MarketDataCache]:
    async with open_cache(settings(await clean(redis_url), market.rest_url)) as opened:
        yield opened


def today(market: Simulator) -> str:
    return market.model.day.day


def days_before(market: Simulator) -> list[str]:
    """The last 30 sessions of the 42 days before the present one."""
    first = (date.fromisoformat(today(market)) - timedelta(days=42)).isoformat()
    return [day for day in market.model.history.days if day >= first][-30:]


def mean_volume(market: Simulator, symbol: str) -> float:
    """A symbol's mean volume over those sessions, naively."""
    slot, history = market.model.universe.slot[symbol], market.model.history
    volumes = [float(history.bars(day).volume[slot]) for day in days_before(market)]
    return sum(volumes) / len(volumes)


class Told:
    """What a filling told of each symbol last, and how often it told."""

    def __init__(self) -> None:
        self.references: dict[str, Reference] = {}
        self.times = 0

    async def __call__(self, references: Iterable[Reference]) -> None:
        self.times += 1
        self.references |= {each.symbol: each for each in references}


async def test_it_says_what_lookups_by_ticker_say_of_every_symbol(market: Simulator, cache: MarketDataCache) -> None:
    calendar, told = TradingCalendar(), Told()
    await MarketFilling(cache, calendar, told).fill(today(market))
    asked = requests(market)
    assert sum(asked[name] for name in ("snapshots", "ratios", "floats")) == 3, "one answer each"
    assert asked["grouped"] == len(days_before(market)), "for symbols without a ratio"
    assert told.references.keys() == set(market.model.universe.tickers)

    async with open_cache(settings(cache_url(cache), market.rest_url)) as other:
        # Another cache whose Redis is emptied: it has to ask by ticker.
        await other.store.client.flushdb()
        lookup = ReferenceLookup(other, calendar)
        for symbol in market.model.universe.tickers[:60]:
            alone = (await lookup.reference(symbol, today(market))).reference
            found = told.references[symbol]
            assert alone is not None
            assert (found.previous_day, found.free_float, found.day) == (
                alone.previous_day, alone.free_float, alone.day,
            ), symbol  # fmt: skip
            has_ratio = market.model.universe.has_ratios[market.model.universe.slot[symbol]]
            expected = alone.avg_volume if has_ratio else mean_volume(market, symbol)
            assert found.avg_volume == pytest.approx(expected), symbol


def cache_url(cache: MarketDataCache) -> str:
    options = cache.store.client.connection_pool.connection_kwargs
    password = f":{options['password']}@" if options.get("password") else ""
    return f"redis://{password}{options['host']}:{options['port']}/{options['db']}"


async def test_what_was_filled_is_in_the_cache_by_ticker(market: Simulator, cache: MarketDataCache) -> None:
    await MarketFilling(cache, TradingCalendar(), Told()).fill(today(market))
    before = requests(market)
    for symbol in market.model.universe.tickers[:20]:
        snapshot = await cache.get_ticker_snapshot(symbol)
        assert snapshot.layer is Layer.REDIS
        assert snapshot.value is not None
        assert snapshot.value.ticker == symbol
        assert (await cache.get_avg_volume(symbol)).layer is Layer.REDIS
        await cache.get_free_float(symbol)
    asked = requests(market) - before
    assert asked.keys() <= {"floats"}, "a symbol without a float row is asked for by ticker"


async def test_a_day_that_was_filled_is_not_filled_again(market: Simulator, cache: MarketDataCache) -> None:
    filling, told = MarketFilling(cache, TradingCalendar(), Told()), Told()
    await filling.fill(today(market))
    before = requests(market)
    await MarketFilling(cache, TradingCalendar(), told).fill(today(market))
    assert requests(market) == before
    assert told.times == 0
    assert await filling.state(today(market)) is State.FILLED


@pytest.mark.verify
async def test_a_part_that_failed_is_asked_for_until_it_is_there(market: Simulator, cache: MarketDataCache) -> None:
    """Each of the first answers fails once at least; nothing is final, and nothing known is lost meanwhile."""
    await misbehave(market, rest_status=500, rest_times=14)
    found = WholeMarket(cache, TradingCalendar(), today(market))
    assert not await found.gather()
    assert set(found.failed) == {"previous_day", "avg_volume", "free_float", "splits"}
    await misbehave(market, reset=True)
    told = Told()
    await MarketFilling(cache, TradingCalendar(), told).fill(today(market))
    assert all(not each.unsettled for each in told.references.values())
    universe = market.model.universe
    # Under a symbol that is new, or new since yesterday, the vendor has no day before.
    without = {
        ticker for slot, ticker in enumerate(universe.tickers) if universe.is_new[slot] or slot in universe.renamed
    }
    assert {symbol for symbol, each in told.references.items() if each.previous_day is None} == without
    assert len(told.references) == SYMBOLS


async def test_answers_that_are_garbage_are_told_as_such_and_change_nothing(
    market: Simulator, cache: MarketDataCache
) -> None:
    await misbehave(market, rest_garbage=True)
    found = WholeMarket(cache, TradingCalendar(), today(market))
    assert not await found.gather()
    assert set(found.failed.values()) == {"garbage"}


async def test_what_the_plan_refuses_is_not_asked_again_for_a_day_by_any_process(
    market: Simulator, cache: MarketDataCache
) -> None:
    await misbehave(market, rest_status=403, rest_times=100_000)
    found = WholeMarket(cache, TradingCalendar(), today(market))
    assert not await found.gather()
    assert not found.failed, "a refusal is an answer"
    assert found.refused == {Part.PREVIOUS_DAY, Part.AVG_VOLUME, Part.FREE_FLOAT, Part.SPLITS}
    await misbehave(market, reset=True)
    before = requests(market)
    async with open_cache(settings(cache_url(cache), market.rest_url)) as other:
        again = WholeMarket(other, TradingCalendar(), today(market))
        assert not await again.gather()
        assert again.refused == found.refused
        assert (await other.get_free_float("AAPL")).state is CacheState.MISSING
    assert requests(market) == before
    assert cache.statistics().counts.rest_errors == 0


async def test_the_directory_is_told_once_a_day_in_pages(market: Simulator, cache: MarketDataCache) -> None:
    told: dict[str, Listing] = {}

    async def publish(listings: Iterable[Listing]) -> None:
        told.update({each.symbol: each for each in listings})

    await misbehave(market, rest_status=500, rest_times=3)
    assert not await Directory(cache, publish).fill(today(market)), "it failed, and is to be asked for again"
    assert await Directory(cache, publish).fill(today(market))
    universe = market.model.universe
    assert told.keys() == set(universe.tickers)
    slot = universe.slot["SPY"]
    assert told["SPY"] == Listing("SPY", today(market), universe.names[slot], "ETF", universe.markets[slot])
    before = requests(market)
    assert await Directory(cache, publish).fill(today(market))
    assert requests(market) == before
