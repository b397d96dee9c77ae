"""The gateway as a process on a real broker: REST, and the WebSocket protocol of existing widgets and beyond."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets
from websockets.asyncio.client import ClientConnection, connect

from app.gateway.protocol import MAX_MESSAGE_BYTES, Close
from app.topic_admin import ensure_topics
from app.topics import ALL_TOPICS, MARKET_QUOTES
from tests.eventually import eventually
from tests.gateway_stack import GatewayProcess, Tables, quote_row

SLOW_S = 2


@pytest.fixture(scope="module")
def gateway_broker(broker_url: str) -> str:
    asyncio.run(ensure_topics(broker_url, ALL_TOPICS, 4))
    return broker_url


@pytest.fixture(scope="module")
def gateway(gateway_broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    process = GatewayProcess(
        gateway_broker, tmp_path_factory.mktemp("gateway") / "gateway.log",
        gateway_slow_client_s=SLOW_S, gateway_max_subscriptions=50, gateway_max_clients=60,
    ).start()  # fmt: skip
    yield process
    assert process.stop() == 0


@pytest.fixture
async def tables(gateway_broker: str) -> AsyncIterator[Tables]:
    async with Tables(gateway_broker) as writer:
        yield writer


@pytest.fixture
async def client(gateway: GatewayProcess) -> AsyncIterator[ClientConnection]:
    async with connect(gateway.ws_url) as connection:
        yield connection


async def ask(client: ClientConnection, message: Any) -> Any:
    """Send a message and read the next one."""
    await client.send(message if isinstance(message, (str, bytes)) else json.dumps(message))
    return await following(client)


async def following(client: ClientConnection) -> Any:
    async with asyncio.timeout(15):
        return json.loads(await client.recv())


async def get(gateway: GatewayProcess, path: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=gateway.url) as http:
        return await http.get(path)


async def until_served(gateway: GatewayProcess, path: str) -> httpx.Response:
    async def served() -> httpx.Response | None:
        response = await get(gateway, path)
        return response if response.status_code == 200 else None

    found = await eventually(served)
    assert found is not None
    return found


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


async def test_a_client_that_does_not_read_is_closed_and_others_notice_nothing(
    client: ClientConnection, tables: Tables, unique: str, gateway: GatewayProcess
) -> None:
    feed = f"scanners:board_{unique}"
    slow = socket.create_connection(("127.0.0.1", gateway.port))
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.sendall(
        b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    assert slow.recv(12).startswith(b"HTTP/1.1 101")
    body = json.dumps({"action": "subscribe", "feed": feed}).encode()
    slow.sendall(bytes((0x81, 0x80 | len(body))) + b"\0\0\0\0" + body)
    await ask(client, {"action": "subscribe", "feed": feed})
    clients = (await get(gateway, "/healthz")).json()["clients"]
    rows = [quote_row(f"S{number}") for number in range(500)]
    received = 0
    async with asyncio.timeout(40):
        while (await get(gateway, "/healthz")).json()["clients"] >= clients:
            record = await tables.board(f"board_{unique}", rows)
            message = await following(client)
            assert len(message) == len(record["entries"])
            received += 1
    assert received > 5
    slow.close()


async def test_many_clients_are_refused_beyond_the_limit_with_a_code(gateway: GatewayProcess) -> None:
    crowd: list[ClientConnection] = []
    try:
        for _ in range(60):
            crowd.append(await connect(gateway.ws_url))
            assert await ask(crowd[-1], {"action": "ping"}) == {"status": "pong"}
        crowd.append(await connect(gateway.ws_url))
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await following(crowd[-1])
    finally:
        await asyncio.gather(*(each.close() for each in crowd))
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == Close.FULL


async def test_a_page_of_another_site_cannot_connect(gateway: GatewayProcess) -> None:
    with pytest.raises(websockets.InvalidStatus) as refused:
        await connect(gateway.ws_url, origin="https://evil.example")  # type: ignore[arg-type]
    assert refused.value.response.status_code == 403
    async with connect(gateway.ws_url, origin="http://localhost:4200") as allowed:  # type: ignore[arg-type]
        assert await ask(allowed, {"action": "ping"}) == {"status": "pong"}


@pytest.fixture(scope="module")
def locked(gateway_broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    process = GatewayProcess(
        gateway_broker, tmp_path_factory.mktemp("locked") / "gateway.log", gateway_api_key="the-right-key"
    ).start()
    yield process
    assert process.stop() == 0


@pytest.mark.parametrize(
    ("message", "status", "code"),
    [
        pytest.param({"action": "auth", "api_key": "wrong"}, "invalid key", Close.INVALID_KEY, id="wrong"),
        pytest.param({"action": "auth"}, "invalid key", Close.INVALID_KEY, id="none"),
        pytest.param({"action": "get", "cache": "x"}, "unauthorized", Close.UNAUTHORIZED, id="get-first"),
        pytest.param("junk", "unauthorized", Close.UNAUTHORIZED, id="junk-first"),
    ],
)
async def test_without_the_key_the_connection_is_closed_with_its_code(
    locked: GatewayProcess, message: Any, status: str, code: Close
) -> None:
    async with connect(locked.ws_url) as stranger:
        assert await ask(stranger, message) == {"status": status}
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await following(stranger)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == code


async def test_the_key_opens_the_socket_and_the_rest_api(locked: GatewayProcess) -> None:
    async with connect(locked.ws_url) as friend:
        assert await ask(friend, {"action": "auth", "api_key": "the-right-key"}) == {"status": "authorized"}
        assert (await ask(friend, {"action": "get", "cache": "quote:NONE"}))["data"] is None
    refused = await get(locked, "/api/quotes")
    assert refused.status_code == 401
    assert refused.headers["content-type"] == "application/problem+json"
    async with httpx.AsyncClient(base_url=locked.url, headers={"Authorization": "Bearer the-right-key"}) as http:
        assert (await http.get("/api/quotes")).status_code == 200
    async with connect(locked.ws_url, additional_headers={"Authorization": "Bearer the-right-key"}) as program:
        assert await ask(program, {"action": "ping"}) == {"status": "pong"}


async def test_a_stop_is_announced_and_a_new_gateway_reads_the_tables_again(
    gateway_broker: str, tables: Tables, tmp_path: Path, unique: str
) -> None:
    row = await tables.quote(unique.upper(), close=77.0)
    process = GatewayProcess(gateway_broker, tmp_path / "gateway.log").start()
    async with connect(process.ws_url) as connection:
        assert await ask(connection, {"action": "ping"}) == {"status": "pong"}
        stopping = asyncio.create_task(asyncio.to_thread(process.stop))
        assert (await following(connection))["status"] == "shutdown"
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await following(connection)
        assert await stopping == 0
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == Close.SHUTDOWN
    again = GatewayProcess(gateway_broker, tmp_path / "gateway.log", port=process.port).start()
    assert (await get(again, f"/api/quotes/{unique.upper()}")).json() == row
    assert again.stop() == 0


async def test_a_gateway_without_kafka_answers_that_it_is_not_ready_and_why(tmp_path: Path) -> None:
    process = GatewayProcess("127.0.0.1:1", tmp_path / "gateway.log")
    process.launch()
    try:

        async def told() -> Any:
            try:
                answer = await get(process, "/readyz")
            except httpx.TransportError:
                return None
            return answer if "KafkaConnectionError" in answer.text else None

        answer = await eventually(told, timeout_s=40)
        assert answer.status_code == 503
        assert answer.json()["ready"] is False
    finally:
        process.stop()
