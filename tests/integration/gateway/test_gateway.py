"""The gateway as a process on a real broker: REST."""

import json

import pytest
from websockets.asyncio.client import connect

from app.kafka.topics import MARKET_QUOTES
from tests.eventually import eventually
from tests.gateway_fixtures import ask, get, until_served
from tests.gateway_stack import GatewayProcess, Tables, quote_row


async def test_a_quote_is_served_as_the_bytes_of_the_topic(
    gateway: GatewayProcess, tables: Tables, unique: str
) -> None:
    symbol = unique.upper()
    row = await tables.quote(symbol, close=12.25, free_float=None)
    response = await until_served(gateway, f"/api/quotes/{symbol}")
    assert response.content == json.dumps(row).encode()
    assert (await get(gateway, f"/api/quotes/{unique}")).json() == row, "a symbol in small letters is found, too"


async def test_a_tombstone_deletes_and_the_problem_says_so(
    gateway: GatewayProcess, tables: Tables, unique: str
) -> None:
    symbol = unique.upper()
    await tables.quote(symbol)
    await until_served(gateway, f"/api/quotes/{symbol}")
    await tables.put(MARKET_QUOTES, symbol, None)

    async def gone() -> bool:
        return (await get(gateway, f"/api/quotes/{symbol}")).status_code == 404

    await eventually(gone)
    response = await get(gateway, f"/api/quotes/{symbol}")
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["type"] == "urn:tapereader:problem:unknown-symbol"
    assert symbol in response.json()["detail"]


async def test_quotes_are_listed_in_pages_by_symbol(gateway: GatewayProcess, tables: Tables, unique: str) -> None:
    symbols = [f"{unique.upper()}.{letter}" for letter in "ABC"]
    for symbol in symbols:
        await tables.quote(symbol)
    await until_served(gateway, f"/api/quotes/{symbols[-1]}")
    await until_served(gateway, f"/api/quotes/{symbols[0]}")
    await until_served(gateway, f"/api/quotes/{symbols[1]}")
    page = (await get(gateway, f"/api/quotes?limit=2&after={unique.upper()}")).json()
    assert [row["symbol"] for row in page["quotes"]] == symbols[:2]
    assert page["next"] == symbols[1]
    named = (await get(gateway, f"/api/quotes?symbols={symbols[2]},NOSUCH,{symbols[0].lower()}")).json()
    assert [row["symbol"] for row in named["quotes"]] == [symbols[2], symbols[0]]
    assert named["next"] is None


async def test_a_board_is_cut_to_its_limit_and_an_unknown_one_names_those_there_are(
    gateway: GatewayProcess, tables: Tables, unique: str
) -> None:
    board = f"board_{unique}"
    record = await tables.board(board, [quote_row("AAA"), quote_row("BBB"), quote_row("CCC")])
    await until_served(gateway, f"/api/leaderboards/{board}")
    cut = (await get(gateway, f"/api/leaderboards/{board}?limit=2")).json()
    assert cut == record | {"entries": record["entries"][:2]}
    listed = (await get(gateway, "/api/leaderboards")).json()["boards"]
    assert {"board": board, "day": record["day"], "published_ns": record["published_ns"], "entries": 3} in listed
    missing = await get(gateway, "/api/leaderboards/top_nothing")
    assert missing.status_code == 404
    assert board in missing.json()["boards"]


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("/api/leaderboards/x?limit=0", id="limit-0"),
        pytest.param("/api/quotes?limit=many", id="limit-word"),
    ],
)
async def test_a_wrong_parameter_is_a_problem_that_names_it(gateway: GatewayProcess, path: str) -> None:
    response = await get(gateway, path)
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    assert "query.limit" in response.json()["detail"]


async def test_health_counts_what_is_served(gateway: GatewayProcess, tables: Tables, unique: str) -> None:
    await tables.quote(unique.upper())
    await until_served(gateway, f"/api/quotes/{unique.upper()}")
    async with connect(gateway.ws_url) as connection:
        assert await ask(connection, {"action": "ping"}) == {"status": "pong"}
        health = (await get(gateway, "/healthz")).json()
    assert health["ready"]
    assert health["clients"] >= 1
    assert health["symbols"] >= 1
    assert health["records_read"] >= health["symbols"]
    assert health["newest_received_age_s"] < 60
    assert (await get(gateway, "/readyz")).json() == {"ready": True, "reasons": []}


async def test_the_openapi_document_shows_examples_of_rows(gateway: GatewayProcess) -> None:
    document = (await get(gateway, "/openapi.json")).json()
    answer = document["paths"]["/api/quotes/{symbol}"]["get"]["responses"]["200"]
    assert answer["content"]["application/json"]["example"]["symbol"] == "AAPL"
    assert "application/problem+json" in document["paths"]["/api/quotes/{symbol}"]["get"]["responses"]["404"]["content"]
