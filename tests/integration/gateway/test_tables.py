"""The gateway serves every public table, by REST and as feeds, from what stands in the topics."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect

from app.gateway.protocol.problems import Problem
from app.gateway.tables.tape import TapeFollower
from app.kafka import topics
from app.kafka.admin import ensure_topics
from app.market.trade_tape import TapePartition, WindowTrade
from tests.eventually import eventually
from tests.gateway_stack import TEN_ET_MS, GatewayProcess, Tables


@pytest.fixture(scope="module")
def gateway(broker_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    asyncio.run(ensure_topics(broker_url, topics.ALL_TOPICS, 4))
    process = GatewayProcess(broker_url, tmp_path_factory.mktemp("gateway") / "gateway.log").start()
    yield process
    assert process.stop() == 0


@pytest.fixture
async def tables(broker_url: str) -> AsyncIterator[Tables]:
    async with Tables(broker_url) as writer:
        yield writer


async def get(gateway: GatewayProcess, path: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=gateway.url) as http:
        return await http.get(path)


async def until_served(gateway: GatewayProcess, path: str) -> Any:
    async def served() -> Any:
        response = await get(gateway, path)
        return response.json() if response.status_code == 200 else None

    return await eventually(served)


def nbbo_row(symbol: str) -> dict[str, Any]:
    return {"symbol": symbol, "bid_price": 9.99, "ask_price": 10.01, "spread": 0.02, "mid": 10.0}


def halt_row(symbol: str, since: int | None) -> dict[str, Any]:
    return {"symbol": symbol, "upper_band": 11.0, "lower_band": 9.0, "halted_since": since, "reason": "a reason"}


def alert_record(symbol: str, at_ms: int, kind: str = "halt") -> dict[str, Any]:
    return {
        "key": f"{symbol}/{kind}/{at_ms}", "symbol": symbol, "kind": kind, "timestamp": at_ms, "value": 10.5,
        "note": "", "session": "regular", "previous": 10.4, "row": {"symbol": symbol, "close": 10.5},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("topic", "path", "listed"), [(topics.NBBO, "nbbo", "nbbo"), (topics.MARKET_HALTS, "halts", "halts")]
)
async def test_a_table_is_listed_and_each_row_is_served(
    gateway: GatewayProcess, tables: Tables, unique: str, topic: topics.TopicSpec, path: str, listed: str
) -> None:
    symbols = [f"{unique.upper()}.{letter}" for letter in "AB"]
    rows = [nbbo_row(symbol) if path == "nbbo" else halt_row(symbol, None) for symbol in symbols]
    for symbol, row in zip(symbols, rows, strict=True):
        await tables.put(topic, symbol, row)
        assert await until_served(gateway, f"/api/{path}/{symbol}") == row
    page = (await get(gateway, f"/api/{path}?limit=1&after={unique.upper()}")).json()
    assert (page[listed], page["next"]) == (rows[:1], symbols[0])
    missing = await get(gateway, f"/api/{path}/NOSUCH")
    assert missing.status_code == 404
    assert missing.headers["content-type"] == "application/problem+json"
    assert "NOSUCH" in missing.json()["detail"]


async def test_trade_windows_are_the_busiest_and_the_summary_answers_for_the_others(
    gateway: GatewayProcess, tables: Tables, unique: str
) -> None:
    small, large, quiet = (f"{unique.upper()}{letter}" for letter in "ABC")
    statistics = {symbol: {"total_volume": volume} for symbol, volume in ((small, 5), (large, 50), (quiet, 1))}
    for symbol in (small, large):
        row = {"timestamp": "t", "symbol": symbol, **statistics[symbol]}
        await tables.put(topics.TRADE_WINDOWS, symbol, row)
        assert await until_served(gateway, f"/api/trade-windows/{symbol}") == row
    await tables.put(topics.TRADE_WINDOWS, "*", {"timestamp": "t", "symbols": statistics, "symbol_count": 3})
    # Without regard to case a symbol is found among those that there are.
    await tables.quote(quiet)
    await until_served(gateway, f"/api/quotes/{quiet}")
    found = await until_served(gateway, f"/api/trade-windows/{quiet.lower()}")
    assert found == {"timestamp": "t", "symbol": quiet, "total_volume": 1}
    listed = (await get(gateway, "/api/trade-windows?limit=1")).json()
    assert (listed["count"], [row["symbol"] for row in listed["trade_windows"]]) == (3, [large])
    assert (await get(gateway, "/api/trade-windows/NOSUCH")).status_code == 404


async def test_a_daily_range_has_the_fields_of_the_quote(gateway: GatewayProcess, tables: Tables, unique: str) -> None:
    symbol = unique.upper()
    quote = await tables.quote(symbol)
    await until_served(gateway, f"/api/quotes/{symbol}")
    extremes = {"symbol": symbol, "day": quote["day"], "pre_market_high": 10.2, "regular_session_low": 9.7}
    await tables.put(topics.DAILY_RANGES, symbol, extremes | {"raised": [], "last_alert_ms": {}})
    found = await until_served(gateway, f"/api/daily-ranges/{symbol}")
    others = ("pre_market_low", "regular_session_high", "after_hours_high", "after_hours_low")
    assert found == quote | extremes | dict.fromkeys(others)
    page = (await get(gateway, f"/api/daily-ranges?symbols={symbol}")).json()
    assert page["daily_ranges"] == [found]


async def test_alerts_are_served_newest_first_by_symbol_and_kind(
    gateway: GatewayProcess, tables: Tables, unique: str
) -> None:
    symbol = unique.upper()
    first, second = alert_record(symbol, TEN_ET_MS), alert_record(symbol, TEN_ET_MS + 1000, "new_high")
    for record in (first, second, first):
        await tables.put(topics.ALERTS, symbol, record)

    async def both() -> bool:
        return len((await get(gateway, f"/api/alerts?symbol={symbol}")).json()["alerts"]) == 2

    await eventually(both)
    assert (await get(gateway, f"/api/alerts?symbol={symbol}")).json()["alerts"] == [second, first]
    assert (await get(gateway, f"/api/alerts?symbol={symbol}&limit=1")).json()["alerts"] == [second]
    assert (await get(gateway, f"/api/alerts?symbol={symbol}&kind=halt")).json()["alerts"] == [first]
    assert (await get(gateway, "/api/alerts?kind=nonsense")).status_code == 422


async def test_lists_are_feeds_that_change_with_their_table(
    gateway: GatewayProcess, tables: Tables, unique: str
) -> None:
    symbol = unique.upper()
    async with connect(gateway.ws_url) as client:
        subscription = {"action": "subscribe", "feed": "scanners:halted", "envelope": True}
        await client.send(json.dumps(subscription))
        await tables.put(topics.MARKET_HALTS, symbol, halt_row(symbol, TEN_ET_MS + 9_000_000))

        async def until(condition: Any) -> Any:
            async with asyncio.timeout(15):
                async for text in client:
                    message = json.loads(text)
                    if "data" in message and condition(message["data"]):
                        return message

        found = await until(lambda rows: rows and rows[0]["symbol"] == symbol)
        assert found["feed"] == "scanners:halted"
        only = (await get(gateway, "/api/halts?halted=true&limit=1")).json()
        assert [row["symbol"] for row in only["halts"]] == [symbol]
        await tables.put(topics.MARKET_HALTS, symbol, halt_row(symbol, None))
        await until(lambda rows: all(row["symbol"] != symbol for row in rows))
        await client.send(json.dumps({"action": "get", "cache": "alerts:latest", "limit": 1}))
        async with asyncio.timeout(15):
            answer = json.loads(await client.recv())
        assert answer["cache"] == "alerts:latest"
        assert len(answer["data"]) <= 1


async def put_tape(tables: Tables, partition: TapePartition, trades: list[WindowTrade]) -> None:
    """Fold trades and write the chunks, as a worker does."""
    partition.fold(trades)
    pairs = [(key.encode(), data) for key, data in partition.take_changes().items() if data is not None]
    await tables.put_bytes(topics.TRADE_TAPE, pairs)


async def test_the_tape_of_a_symbol_is_served_newest_first(
    gateway: GatewayProcess, tables: Tables, unique: str
) -> None:
    symbol, partition = unique.upper(), TapePartition()
    trades = [
        WindowTrade(symbol, price=10.0 + number, size=100.0, timestamp=TEN_ET_MS + number, sequence_number=number + 1)
        for number in range(1203)
    ]
    await put_tape(tables, partition, trades[:1000])
    found = await until_served(gateway, f"/api/trades/{symbol}?limit=1000")
    assert (found["symbol"], found["count"], found["complete"]) == (symbol, 1000, True)
    await put_tape(tables, partition, trades[1000:])

    async def followed() -> bool:
        newest = (await get(gateway, f"/api/trades/{symbol}?limit=1")).json()["trades"]
        return bool(newest[0]["price"] == 1212.0)

    await eventually(followed)
    await tables.quote(symbol)
    await until_served(gateway, f"/api/quotes/{symbol}")
    found = (await get(gateway, f"/api/trades/{symbol.lower()}?limit=1000")).json()
    assert [trade["price"] for trade in found["trades"]] == [trade.price for trade in trades[:-1001:-1]]
    assert found["trades"][0] == {
        "symbol": symbol, "price": 1212.0, "size": 100.0, "timestamp": TEN_ET_MS + 1202, "sequence_number": 1203,
        "exchange": 0, "tape": 0, "id": "", "conditions": [], "trf_id": 0, "trf_timestamp": 0, "side": None,
        "event_type": "T", "condition_names": [], "exchange_name": None, "counts_volume": True, "sets_high_low": True,
        "sets_last": True,
    }  # fmt: skip
    missing = await get(gateway, "/api/trades/NOSUCH")
    assert missing.status_code == 404
    assert missing.json()["type"] == "urn:tapereader:problem:unknown-symbol"
    assert (await get(gateway, f"/api/trades/{symbol}?limit=1001")).status_code == 422


def _fail(error: Exception) -> None:
    raise AssertionError(f"the follower failed: {error!r}")


@pytest.mark.verify
async def test_the_tape_is_let_go_when_nobody_asks_and_read_again(
    gateway: GatewayProcess, broker_url: str, tables: Tables, unique: str
) -> None:
    symbol = unique.upper()
    await put_tape(tables, TapePartition(), [WindowTrade(symbol, price=5.0, timestamp=TEN_ET_MS)])
    follower = TapeFollower(broker_url, 1 << 20, _fail, idle_s=0.2)
    for _ in range(2):
        assert [trade.price for trade in (await follower.view()).trades(symbol, 10)] == [5.0]
        await eventually(lambda: not follower.following)
    await follower.close()
    nobody = TapeFollower("127.0.0.1:1", 1 << 20, _fail)
    with pytest.raises(Problem, match="the tape is not read yet"):
        await nobody.view(wait_s=0.3)
    await nobody.close()


async def test_the_directory_is_listed_and_searched_by_symbol_and_name(gateway: GatewayProcess, tables: Tables) -> None:
    for symbol, name in (("DIRA", "Dirigible Air"), ("DIRAw", "Dirigible Air Warrants"), ("QDIR", "Quiet Direction")):
        await tables.put(
            topics.MARKET_SYMBOLS,
            symbol,
            {"symbol": symbol, "day": "2026-11-20", "name": name, "type": "CS", "exchange": "XNAS", "active": True},
        )
    assert (await until_served(gateway, "/api/symbols/QDIR"))["name"] == "Quiet Direction"
    found = (await get(gateway, "/api/symbols?search=dira")).json()
    assert [row["symbol"] for row in found["symbols"]] == ["DIRA", "DIRAw"]
    found = (await get(gateway, "/api/symbols?search=direct")).json()
    assert [row["symbol"] for row in found["symbols"]] == ["QDIR"]
    page = (await get(gateway, "/api/symbols?symbols=DIRAw,QDIR")).json()
    assert [row["symbol"] for row in page["symbols"]] == ["DIRAw", "QDIR"]
    missing = await get(gateway, "/api/symbols/NOSUCH")
    assert missing.status_code == 404
    assert missing.json()["type"].endswith("unknown-symbol")
