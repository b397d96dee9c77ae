"""Symbols that differ in the case of a letter are two securities, for REST, the socket and their feeds."""

from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection

from app.kafka.topics import ALERTS, DAILY_RANGES, MARKET_SYMBOLS, NBBO, TRADE_WINDOWS
from tests.gateway_fixtures import ask, following, get, until_served
from tests.gateway_stack import TEN_ET_MS, GatewayProcess, Tables, quote_row


def alert(symbol: str) -> dict[str, Any]:
    return {
        "key": f"{symbol}/new_high/regular/{TEN_ET_MS}/1", "symbol": symbol, "kind": "new_high",
        "timestamp": TEN_ET_MS, "value": 1.0, "note": "", "session": "regular", "previous": None,
        "row": quote_row(symbol),
    }  # fmt: skip


@pytest.fixture
async def warrant(gateway: GatewayProcess, tables: Tables, unique: str) -> str:
    """A share in capitals, its warrant with a last letter that is none, and a preferred one of other letters."""
    share, other = unique.upper(), f"{unique.upper()}W"
    named = f"{share}w"
    for symbol in (other, named, f"{share}pA"):
        await tables.put(MARKET_SYMBOLS, symbol, {"symbol": symbol, "day": "2026-11-20", "name": symbol})
        await tables.quote(symbol)
        await tables.put(NBBO, symbol, {"symbol": symbol, "bid_price": 1.0})
        await tables.put(DAILY_RANGES, symbol, {"symbol": symbol})
        await tables.put(TRADE_WINDOWS, symbol, {"symbol": symbol, "total_volume": 1})
        await tables.put(ALERTS, symbol, alert(symbol))
        for path in ("quotes", "nbbo", "daily-ranges", "trade-windows", "symbols"):
            await until_served(gateway, f"/api/{path}/{symbol}")
    return named


PATHS = ["quotes", "nbbo", "daily-ranges", "trade-windows", "symbols"]


async def test_a_symbol_is_its_exact_letters_by_rest(gateway: GatewayProcess, warrant: str) -> None:
    other, preferred = warrant.upper(), f"{warrant[:-1]}pA"
    for path in PATHS:
        for symbol in (warrant, other, preferred):
            assert (await get(gateway, f"/api/{path}/{symbol}")).json()["symbol"] == symbol
        assert (await get(gateway, f"/api/{path}/{preferred.lower()}")).json()["symbol"] == preferred
        several = await get(gateway, f"/api/{path}/{warrant.lower()}")
        assert several.status_code == 404
        assert several.json()["symbols"] == [other, warrant]
        assert "upper and lower case tell them apart" in several.json()["detail"]
    for path, listed in (("quotes", "quotes"), ("nbbo", "nbbo"), ("symbols", "symbols")):
        rows = (await get(gateway, f"/api/{path}?symbols={warrant},{preferred.upper()}")).json()[listed]
        assert [row["symbol"] for row in rows] == [warrant, preferred]
        assert (await get(gateway, f"/api/{path}?symbols={warrant.lower()}")).status_code == 404


async def test_alerts_and_spellings_are_of_the_exact_symbol(gateway: GatewayProcess, warrant: str) -> None:
    async def of(text: str) -> set[str]:
        return {each["symbol"] for each in (await get(gateway, f"/api/alerts?symbol={text}")).json()["alerts"]}

    assert await of(warrant) == {warrant}
    assert await of(warrant.upper()) == {warrant.upper()}
    assert (await get(gateway, f"/api/alerts?symbol={warrant.lower()}")).status_code == 404
    for text, symbols in ((warrant, [warrant]), (warrant.lower(), [warrant.upper(), warrant]), ("no-such", [])):
        assert (await get(gateway, f"/api/spellings/{text}")).json() == {"text": text, "symbols": symbols}


async def test_the_socket_says_what_a_feed_of_other_letters_may_mean(
    client: ClientConnection, tables: Tables, gateway: GatewayProcess, warrant: str
) -> None:
    preferred = f"{warrant[:-1]}pA"
    answer = await ask(client, {"action": "get", "cache": f"quote:{warrant.lower()}"})
    assert answer["data"] is None
    assert answer["similar"] == [f"quote:{warrant.upper()}", f"quote:{warrant}"]
    assert "similar" not in await ask(client, {"action": "get", "cache": f"quote:{warrant}"})
    answer = await ask(client, {"action": "subscribe", "feed": f"quote:{preferred.lower()}"})
    assert answer["similar"] == [f"quote:{preferred}"]
    assert "similar" not in await ask(client, {"action": "subscribe", "feed": f"quote:{warrant}"})
    await tables.quote(warrant.upper(), close=1.0)
    await tables.quote(preferred, close=2.0)
    mine = await tables.quote(warrant, close=3.0)
    assert await following(client) == mine, "nothing of another security came before it"
