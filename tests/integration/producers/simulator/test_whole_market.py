"""The simulator's answers of the whole market say what its answers by ticker say; read by the vendor's SDK."""

import asyncio

from massive import RESTClient

from producers.simulator import Simulator
from tests.simulator_client import control


def read_whole_market(simulator: Simulator) -> None:
    rest = RESTClient("simulator", base=simulator.rest_url)
    snapshots = {row.ticker: row for row in rest.get_snapshot_all("stocks")}
    assert snapshots.keys() == set(simulator.model.universe.tickers)
    days = list(simulator.model.history.days[-3:])
    grouped = [{row.ticker: row for row in rest.get_grouped_daily_aggs(day, adjusted=True)} for day in days]
    for ticker in ("AAPL", simulator.model.universe.tickers[-1]):
        alone = rest.get_snapshot_ticker("stocks", ticker)
        assert snapshots[ticker].prev_day == alone.prev_day
        bars = list(rest.list_aggs(ticker, 1, "day", days[0], days[-1]))
        for bar, of_all in zip(bars, grouped, strict=True):
            found = of_all[ticker]
            assert (found.open, found.high, found.low, found.close, found.volume, found.vwap) == (
                bar.open, bar.high, bar.low, bar.close, bar.volume, bar.vwap,
            )  # fmt: skip
        assert snapshots[ticker].prev_day.close == grouped[-1][ticker].close
    assert snapshots["AAPL"].day.volume > 0
    assert [row.ticker for row in rest.get_snapshot_all("stocks", ["AAPL", "MSFT"])] == ["AAPL", "MSFT"]
    ratios = list(rest.list_financials_ratios(limit=50_000))
    assert next(row for row in ratios if row.ticker == "AAPL").average_volume > 0
    assert {row.mic for row in rest.get_exchanges("stocks")} >= {"XNAS", "XNYS"}


async def test_one_answer_holds_what_many_answers_hold(simulator: Simulator) -> None:
    await control(simulator, "pause")
    await asyncio.to_thread(read_whole_market, simulator)
    requests = (await control(simulator, "stats"))["requests"]
    assert (requests["snapshots"], requests["ratios"], requests["grouped"]) == (2, 1, 3)
