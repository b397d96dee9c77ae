"""The simulator's REST by the vendor's SDK, and its market from run to run."""

import asyncio

import aiohttp
import pytest
from massive import RESTClient
from massive.exceptions import BadResponse
from urllib3.exceptions import MaxRetryError

from producers.simulator import Simulator
from producers.simulator.market import World
from tests.eventually import eventually
from tests.simulator_client import CHANNELS, START, Event, connected, control


def read_rest(simulator: Simulator) -> None:
    """Each REST call that the platform makes, by the vendor's SDK."""
    rest = RESTClient("simulator", base=simulator.rest_url)
    status = rest.get_market_status()
    assert (status.market, status.early_hours, status.after_hours) == ("open", False, False)
    assert status.server_time.startswith("2026-11-20T10:0")
    holidays = {(row.date, row.exchange): row for row in rest.get_market_holidays()}
    assert holidays["2026-11-26", "NYSE"].status == "closed"
    assert holidays["2026-11-27", "NASDAQ"].close == "2026-11-27T18:00:00.000Z"

    snapshot = rest.get_snapshot_ticker("stocks", "AAPL")
    days = list(rest.list_aggs("AAPL", 1, "day", "2026-10-08", "2026-11-19", sort="desc", limit=7))
    assert len(days) == 31, "sessions of six weeks, over five pages"
    assert [day.timestamp for day in days] == sorted((day.timestamp for day in days), reverse=True)
    assert (snapshot.prev_day.close, snapshot.prev_day.volume) == (days[0].close, days[0].volume)
    ratio = next(iter(rest.list_financials_ratios(ticker="AAPL")))
    volumes = [day.volume for day in days][:30]
    assert ratio.average_volume == pytest.approx(sum(volumes) / 30, abs=1)
    assert next(iter(rest.list_stocks_floats(ticker="AAPL"))).free_float > 0
    assert list(rest.list_aggs("NOBODY", 1, "day", "2026-10-08", "2026-11-20")) == []
    with pytest.raises(BadResponse, match="Ticker not found"):
        rest.get_snapshot_ticker("stocks", "NOBODY")

    tickers = [row.ticker for row in rest.list_tickers(limit=30)]
    assert sorted(tickers) == sorted(simulator.model.universe.tickers)
    assert [row.ticker for row in rest.list_tickers(ticker="TSLA")] == ["TSLA"]
    assert all(row.ticker >= "N" for row in rest.list_tickers(ticker_gte="N"))


async def test_the_sdk_reads_every_endpoint(simulator: Simulator) -> None:
    await asyncio.to_thread(read_rest, simulator)
    requests = (await control(simulator, "stats"))["requests"]
    assert requests.keys() == {"market_status", "holidays", "snapshot", "aggregates", "ratios", "floats", "tickers"}
    assert requests["aggregates"] == 6


@pytest.mark.verify
async def test_minute_bars_are_those_that_were_streamed() -> None:
    async with Simulator(symbols=30, seed=4, start=START, events_per_s=50, speed=60) as simulator:
        async with connected(simulator, "AM.*") as client:
            await eventually(lambda: len({event["s"] for event in client.events}) >= 4)
            await control(simulator, "pause")
        rest = RESTClient("simulator", base=simulator.rest_url)
        rows = await asyncio.to_thread(lambda: list(rest.list_aggs("AAPL", 1, "minute", "2026-11-20", "2026-11-20")))
    bars = {event["s"]: event for event in client.events if event["sym"] == "AAPL"}
    assert bars
    found = {row.timestamp: row for row in rows}
    for start_ms, bar in bars.items():
        assert (found[start_ms].open, found[start_ms].close, found[start_ms].volume) == (bar["o"], bar["c"], bar["v"])


async def test_rest_faults_are_what_the_sdk_runs_into(simulator: Simulator) -> None:
    rest = RESTClient("simulator", base=simulator.rest_url, retries=1)
    await control(simulator, "faults", {"rest_status": 429, "rest_times": 2})
    with pytest.raises(MaxRetryError, match="429"):
        await asyncio.to_thread(rest.get_market_status)
    assert (await asyncio.to_thread(rest.get_market_status)).market == "open"
    await control(simulator, "faults", {"rest_status": 500, "rest_times": 1, "retry_after_s": 0.0})
    assert (await asyncio.to_thread(rest.get_market_status)).market == "open", "the SDK's one retry"
    await control(simulator, "faults", {"rest_garbage": True})
    async with aiohttp.ClientSession(headers={"Authorization": "Bearer simulator"}) as session:
        async with session.get(f"{simulator.rest_url}/v1/marketstatus/now") as answer:
            assert (answer.status, answer.content_type) == (200, "text/html")
        await control(simulator, "faults", {"reset": True, "rest_delay_s": 30})
        with pytest.raises(TimeoutError):
            await session.get(f"{simulator.rest_url}/v1/marketstatus/now", timeout=aiohttp.ClientTimeout(0.3))
    assert (await control(simulator, "stats"))["statuses"]["429"] == 2


async def test_an_unknown_fault_is_refused_by_name(simulator: Simulator) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{simulator.rest_url}/control/faults", json={"dorp": True}) as answer,
    ):
        assert answer.status == 400
        assert "dorp" in (await answer.json())["error"]


async def test_the_closed_night_is_skipped() -> None:
    async with Simulator(symbols=20, seed=2, start="2026-11-25T19:59:30", events_per_s=50, speed=20) as simulator:
        async with connected(simulator, "A.*", "T.*", "Q.*"):
            await eventually(lambda: simulator.model.day.day == "2026-11-27")
        assert simulator.statistics()["virtual_time"].startswith("2026-11-27T04:0")
        rest = RESTClient("simulator", base=simulator.rest_url)
        status = await asyncio.to_thread(rest.get_market_status)
        assert (status.market, status.early_hours) == ("extended-hours", True)


async def first_events(count: int) -> list[Event]:
    """The first events that a client gets of a market which waited for it."""
    async with Simulator(symbols=50, seed=11, start=START, events_per_s=300, speed=5) as simulator:
        # At once: on a busy machine the market would be seconds on before a request for it is answered.
        simulator.clock.pause()
        async with connected(simulator, *CHANNELS) as client:
            await eventually(lambda: len(client.messages()) == 2 + len(CHANNELS))
            await control(simulator, "resume")
            await eventually(lambda: len(client.events) > count)
    return client.events


async def test_two_runs_send_the_same_events_at_the_same_market_times() -> None:
    one, two = await first_events(1500), await first_events(1500)
    # How far the market ran before it was told to wait differs: compare from the later start on.
    start = (
        max(next(event["t"] for event in events if event["ev"] == "T") for events in (one, two)) // 1000 * 1000 + 1000
    )

    def from_start(events: list[Event]) -> list[Event]:
        return [event for event in events if event.get("t", event.get("s", 0)) >= start]

    compared = min(len(from_start(one)), len(from_start(two)))
    assert compared > 500
    assert from_start(one)[:compared] == from_start(two)[:compared]


async def test_second_bars_and_trades_are_those_that_were_streamed() -> None:
    """What a hole of the feed is mended from: each print and bar of a symbol, once, in order."""
    async with Simulator(symbols=20, seed=4, start=START, events_per_s=700) as simulator:
        async with connected(simulator, "T.AAPL", "A.AAPL") as client:
            await eventually(lambda: client.counts()["A"] >= 3)
            await control(simulator, "pause")
            await eventually(lambda: client.counts() == simulator.feed.sent)
        trades = [event for event in client.events if event["ev"] == "T"]
        bars = [event for event in client.events if event["ev"] == "A"]
        rest = RESTClient("simulator", base=simulator.rest_url)

        def read() -> None:
            first_ns, end_ns = trades[0]["t"] * 10**6, (trades[-1]["t"] + 1) * 10**6
            found = list(rest.list_trades("AAPL", timestamp_gte=first_ns, timestamp_lt=end_ns, order="asc", limit=7))
            assert [
                (row.id, row.price, row.size, row.sip_timestamp // 10**6, row.sequence_number, row.exchange, row.tape)
                for row in found
            ] == [(e["i"], e["p"], e["s"], e["t"], e["q"], e["x"], e["z"]) for e in trades]
            assert [row.conditions for row in found] == [event.get("c") for event in trades]
            seconds = list(rest.list_aggs("AAPL", 1, "second", bars[0]["s"], bars[-1]["s"]))
            assert [(row.timestamp, row.open, row.high, row.low, row.close, row.volume) for row in seconds] == [
                (e["s"], e["o"], e["h"], e["l"], e["c"], e["v"]) for e in bars
            ]

        await asyncio.to_thread(read)


async def test_a_changed_ticker_has_its_former_one_in_the_tickers_events() -> None:
    async with Simulator(symbols=300, events_per_s=10, world=World(otc=True)) as simulator:
        universe = simulator.model.universe
        slot, former = next(iter(universe.renamed.items()))

        def read() -> None:
            rest = RESTClient("simulator", base=simulator.rest_url)
            found = rest.get_ticker_events(universe.tickers[slot])
            told = [(event["type"], event["date"], event["ticker_change"]["ticker"]) for event in found.events]
            first = simulator.model.history.days[0]
            assert told == [
                ("ticker_change", simulator.model.first_day, universe.tickers[slot]), ("ticker_change", first, former),
            ]  # fmt: skip
            unchanged = rest.get_ticker_events("AAPL").events
            assert [event["ticker_change"]["ticker"] for event in unchanged] == ["AAPL"]
            over = {ticker for ticker, otc in zip(universe.tickers, universe.otc.tolist(), strict=True) if otc}
            assert {row.ticker for row in rest.list_tickers(market="otc", limit=1000)} == over != set()
            assert not {row.ticker for row in rest.list_tickers(market="stocks", limit=1000)} & over

        await asyncio.to_thread(read)


async def test_conditions_and_a_tickers_details_are_in_the_vendors_forms(simulator: Simulator) -> None:
    def read() -> None:
        rest = RESTClient("simulator", base=simulator.rest_url)
        rows = list(rest.list_conditions(asset_class="stocks", limit=1000))
        assert [row.type for row in rows if row.id == 12] == ["quote_condition", "sale_condition"], "ids repeat"
        rules = {row.id: row.update_rules.consolidated for row in rows if row.type == "sale_condition"}
        of_trades = rest.list_conditions(asset_class="stocks", data_type="trade", params={"data_types": "trade"})
        assert {row.type for row in of_trades} == {"sale_condition"}
        assert (rules[37].updates_high_low, rules[37].updates_volume) == (False, True)
        assert (rules[15].updates_volume, rules[38].updates_volume) == (False, False)
        details = rest.get_ticker_details("AAPL")
        assert (details.name, details.primary_exchange) == ("Apple Inc.", "XNAS")
        assert details.share_class_shares_outstanding > 0

    await asyncio.to_thread(read)
