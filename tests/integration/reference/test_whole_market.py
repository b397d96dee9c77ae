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
from producers.simulator.splits import Split
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


async def test_on_the_day_of_a_split_the_whole_market_and_lookups_by_ticker_say_the_same(
    market: Simulator, cache: MarketDataCache
) -> None:
    """Neither a split of the day nor one in the weeks before it makes a wrong previous close or mean volume."""
    model, day, earlier = market.model, today(market), days_before(market)[-8]
    universe = model.universe
    plain = [
        slot for slot in range(40, SYMBOLS) if universe.free_float[slot] > 0 and not universe.is_new[slot]
        and slot not in universe.renamed
    ]  # fmt: skip
    with_ratio = next(slot for slot in plain if universe.has_ratios[slot])
    without, before = [slot for slot in plain if not universe.has_ratios[slot]][:2]
    model.splits.by_day = {
        day: [Split(with_ratio, 20, 1), Split(without, 1, 4)], earlier: [Split(before, 1, 10)],
    }  # fmt: skip
    told = Told()
    await MarketFilling(cache, TradingCalendar(), told).fill(day)
    async with open_cache(settings(cache_url(cache), market.rest_url)) as other:
        await other.store.client.flushdb()
        lookup = ReferenceLookup(other, TradingCalendar())
        for slot, factor, text in ((with_ratio, 1 / 20, "20:1"), (without, 4.0, "1:4"), (before, 1.0, None)):
            symbol = universe.tickers[slot]
            found, alone = told.references[symbol], await lookup.reference(symbol, day)
            assert alone.settled
            assert alone.reference is not None
            assert found.previous_day is not None
            assert found.previous_day.close == pytest.approx(model.history.last.close[slot] / factor)
            assert found.split == text
            days = {each: float(model.history.bars(each).volume[slot]) for each in days_before(market)}
            total = sum(volume * (10 if slot == before and each < earlier else 1) for each, volume in days.items())
            if slot != with_ratio:
                assert found.avg_volume == pytest.approx(total / len(days) * factor)
            for name in ("avg_volume", "free_float", "split"):
                assert getattr(alone.reference, name) == pytest.approx(getattr(found, name)), (symbol, name)
            assert alone.reference.previous_day == found.previous_day


async def test_a_lookup_that_cannot_learn_the_days_splits_is_not_settled(
    market: Simulator, cache: MarketDataCache
) -> None:
    lookup = ReferenceLookup(cache, TradingCalendar())
    assert (await lookup.reference("AAPL", today(market))).settled
    await cache.delete(f"mdc:splits:{today(market)}")
    await misbehave(market, rest_status=500, rest_times=100)
    found = await lookup.reference("AAPL", today(market))
    assert found.reference is not None
    assert (found.settled, found.reference.unsettled) == (False, ("splits",))


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
