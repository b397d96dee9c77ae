"""The WebSocket protocol of existing widgets, and what is beyond it."""

import json

import httpx
import pytest
import websockets
from websockets.asyncio.client import ClientConnection, connect

from app.gateway.protocol.messages import MAX_MESSAGE_BYTES
from tests.gateway_fixtures import ask, following, until_served
from tests.gateway_stack import GatewayProcess, Tables, quote_row


async def test_a_widget_that_pipelines_its_requests_gets_what_it_knows(
    client: ClientConnection, tables: Tables, unique: str, gateway: GatewayProcess
) -> None:
    board = f"board_{unique}"
    first = await tables.board(board, [quote_row("AAA"), quote_row("BBB")])
    await until_served(gateway, f"/api/leaderboards/{board}")
    feed = f"scanners:{board}"
    for message in (
        {"action": "auth", "api_key": "anything"},
        {"action": "get", "cache": feed, "limit": 1},
        {"action": "subscribe", "feed": feed},
    ):
        await client.send(json.dumps(message))
    assert await following(client) == {"status": "authorized"}
    assert await following(client) == {"cache": feed, "data": first["entries"][:1]}
    assert await following(client) == {"status": "subscribed", "feed": feed}
    second = await tables.board(board, [quote_row("BBB"), quote_row("AAA")])
    assert await following(client) == second["entries"], "a live message is the bare document"
    assert await ask(client, {"action": "unsubscribe", "feed": feed}) == {"status": "unsubscribed", "feed": feed}
    await tables.board(board, [quote_row("CCC")])
    await tables.quote(unique.upper())
    await until_served(gateway, f"/api/quotes/{unique.upper()}")
    assert await ask(client, {"action": "ping"}) == {"status": "pong"}, "nothing comes after unsubscribe"


async def test_get_of_what_is_not_there_is_null(client: ClientConnection) -> None:
    answer = await ask(client, {"action": "get", "cache": "news:feed:latest", "id": 7})
    assert answer == {"id": 7, "cache": "news:feed:latest", "data": None}


@pytest.mark.parametrize(
    ("message", "code"),
    [
        pytest.param("no json", "not_json", id="not-json"),
        pytest.param("[" * 5000, "not_json", id="deep"),
        pytest.param("[" * 30_000 + "]" * 30_000, "not_json", id="deep-and-whole"),
        pytest.param('{"action":"ping","more":' + '{"a":' * 5000 + "1" + "}" * 5001, "not_json", id="deep-within"),
        pytest.param(b"\xff\xfe", "not_json", id="binary"),
        pytest.param("[1]", "not_an_object", id="list"),
        pytest.param('{"action":"subscribe"}', "no_feed", id="no-feed"),
        pytest.param('{"action":"subscribe","feed":7}', "no_feed", id="feed-number"),
        pytest.param('{"action":"subscribe","feed":"' + "x" * 300 + '"}', "bad_feed", id="feed-long"),
        pytest.param('{"action":"subscribe","feed":"*a*b*c*d*e*"}', "bad_feed", id="stars"),
        pytest.param('{"action":"get","cache":"quote:A","limit":"ten"}', "bad_limit", id="limit-word"),
        pytest.param('{"action":"get","cache":"quote:A","limit":-1}', "bad_limit", id="limit-negative"),
        pytest.param('{"action":"get"}', "no_cache", id="no-cache"),
        pytest.param('{"action":"subscribe","feed":"quote:A","fields":"close"}', "bad_fields", id="fields"),
        pytest.param('{"action":"subscribe","feed":"quote:A","max_rate":0}', "bad_max_rate", id="rate-zero"),
        pytest.param('{"action":"subscribe","feed":"quote:A","mode":"fast"}', "bad_mode", id="mode"),
        pytest.param('{"action":"ping","id":{}}', "bad_id", id="id"),
    ],
)
async def test_a_bad_request_is_answered_and_the_connection_stays(
    client: ClientConnection, message: str | bytes, code: str
) -> None:
    answer = await ask(client, message)
    assert (answer["status"], answer["code"]) == ("error", code)
    assert answer["message"]
    assert await ask(client, {"action": "dance"}) == {"status": "invalid action"}


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("[" * 30_000 + "]" * 30_000, id="deep"),
        pytest.param('{"filter":' + "[" * 20_000 + "]" * 20_000 + "}", id="deep-within"),
        pytest.param('{"filter":' + '{"a":' * 900 + "1" + "}" * 901, id="nearly-too-deep"),
        pytest.param('{"filter":"\\ud800 > 1"}', id="half-a-character"),
        pytest.param('{"filter":"close > 1","feed":"\\ud800"}', id="half-a-character-in-a-name"),
        pytest.param('{"filter":NaN}', id="not-a-number"),
        pytest.param("9" * 5000, id="digits"),
        pytest.param(b"\xff", id="binary"),
    ],
)
@pytest.mark.parametrize("path", ["/api/filters/check", "/api/operator/subscriptions", "/control/log-level"])
async def test_a_body_that_is_nothing_is_a_clear_problem(gateway: GatewayProcess, path: str, body: str | bytes) -> None:
    headers = {"content-type": "application/json", "X-Tapereader-Control": "1"}
    async with httpx.AsyncClient(base_url=gateway.url) as http:
        answer = await http.request("POST" if "filters" in path else "PUT", path, content=body, headers=headers)
    assert 400 <= answer.status_code < 500, answer.text
    said = answer.json()
    assert said.get("detail") or said.get("error")


async def test_too_many_subscriptions_are_refused_one_by_one(client: ClientConnection) -> None:
    for number in range(50):
        assert (await ask(client, {"action": "subscribe", "feed": f"quote:L{number}"}))["status"] == "subscribed"
    assert (await ask(client, {"action": "subscribe", "feed": "quote:L50"}))["code"] == "too_many_subscriptions"
    assert (await ask(client, {"action": "subscribe", "feed": "quote:L3"}))["status"] == "subscribed"


async def test_an_oversized_message_closes_its_sender_only(client: ClientConnection, gateway: GatewayProcess) -> None:
    async with connect(gateway.ws_url) as other:
        await other.send("x" * (MAX_MESSAGE_BYTES + 1))
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await following(other)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009
    assert await ask(client, {"action": "ping"}) == {"status": "pong"}


async def test_a_wildcard_delivers_once_even_beside_the_exact_feed(
    client: ClientConnection, tables: Tables, unique: str
) -> None:
    symbol = unique.upper()
    await ask(client, {"action": "subscribe", "feed": f"quote:{symbol}.*"})
    await ask(client, {"action": "subscribe", "feed": f"quote:{symbol}.A"})
    first = await tables.quote(f"{symbol}.A", close=1.0)
    assert await following(client) == first
    second = await tables.quote(f"{symbol}.B", close=2.0)
    assert await following(client) == second


async def test_an_envelope_names_its_feed_and_begins_with_the_present_state(
    client: ClientConnection, tables: Tables, unique: str, gateway: GatewayProcess
) -> None:
    symbol = unique.upper()
    await tables.quote(symbol, close=3.0)
    await until_served(gateway, f"/api/quotes/{symbol}")
    await ask(
        client, {"action": "subscribe", "feed": f"quote:{symbol}", "envelope": True, "fields": ["close", "nothing"]}
    )
    first = await following(client)
    assert first["feed"] == f"quote:{symbol}"
    assert first["data"] == {"symbol": symbol, "close": 3.0}
    await tables.quote(symbol, close=4.0)
    second = await following(client)
    assert (second["epoch"], second["offset"]) == (first["epoch"], first["offset"] + 1)
    assert second["data"] == {"symbol": symbol, "close": 4.0}


async def test_deltas_and_a_reconnect_add_up_to_the_board(
    client: ClientConnection, tables: Tables, unique: str, gateway: GatewayProcess
) -> None:
    board, wanted = f"board_{unique}", ["rank", "close"]
    await tables.board(board, [quote_row("AAA", close=1.0), quote_row("BBB", close=2.0)])
    await until_served(gateway, f"/api/leaderboards/{board}")
    request = {"action": "subscribe", "feed": f"scanners:{board}", "mode": "delta", "fields": wanted}
    await ask(client, request)
    snapshot = await following(client)
    assert snapshot["recovered"] is False
    assert [row["symbol"] for row in snapshot["snapshot"]] == ["AAA", "BBB"]
    await tables.board(board, [quote_row("AAA", close=1.5), quote_row("CCC", close=9.0)])
    delta = await following(client)
    assert delta["offset"] == snapshot["offset"] + 1
    assert delta["delta"] == {
        "upsert": [{"symbol": "AAA", "close": 1.5}, {"symbol": "CCC", "rank": 2, "close": 9.0}],
        "remove": ["BBB"],
    }
    await client.close()
    await tables.board(board, [quote_row("CCC", close=9.0)])
    async with connect(gateway.ws_url) as again:
        position = {"epoch": delta["epoch"], "offset": delta["offset"]}
        await ask(again, request | position)
        missed = await following(again)
        assert missed["offset"] == delta["offset"] + 1
        assert missed["delta"] == {"upsert": [{"symbol": "CCC", "rank": 1}], "remove": ["AAA"]}
    async with connect(gateway.ws_url) as late:
        await ask(late, request | {"epoch": "of-another-gateway", "offset": 1})
        fresh = await following(late)
        assert fresh["recovered"] is False
        assert fresh["snapshot"] == [{"symbol": "CCC", "rank": 1, "close": 9.0}]


async def test_max_rate_sends_the_newest_state(client: ClientConnection, tables: Tables, unique: str) -> None:
    symbol = unique.upper()
    await ask(client, {"action": "subscribe", "feed": f"quote:{symbol}", "max_rate": 2, "fields": ["close"]})
    for number in range(40):
        await tables.quote(symbol, close=float(number))
    seen: list[float] = []
    while not seen or seen[-1] != 39.0:
        seen.append((await following(client))["close"])
    assert len(seen) < 20
    assert seen == sorted(seen)
