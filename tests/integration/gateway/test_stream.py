"""Server-sent events of a gateway process on a real broker."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from app.kafka.admin import ensure_topics
from app.kafka.topics import ALL_TOPICS
from tests.eventually import eventually
from tests.gateway_stack import GatewayProcess, Tables, quote_row

SLOW_S = 2


@pytest.fixture(scope="module")
def gateway(broker_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    asyncio.run(ensure_topics(broker_url, ALL_TOPICS, 4))
    log = tmp_path_factory.mktemp("stream") / "gateway.log"
    process = GatewayProcess(broker_url, log, gateway_slow_client_s=SLOW_S).start()
    yield process
    assert process.stop() == 0


@pytest.fixture
async def tables(broker_url: str) -> AsyncIterator[Tables]:
    async with Tables(broker_url) as writer:
        yield writer


class Events:
    """The events of a stream, one after the other."""

    def __init__(self, response: httpx.Response) -> None:
        self._lines = response.aiter_lines()

    async def next(self) -> dict[str, Any]:
        """The next event's fields, its data parsed."""
        fields: dict[str, Any] = {}
        async with asyncio.timeout(20):
            async for line in self._lines:
                if not line and "data" in fields:
                    return fields
                name, _, value = line.partition(": ")
                if name:
                    fields[name] = json.loads(value) if name == "data" else value
        raise AssertionError("the stream ended")


@asynccontextmanager
async def stream(gateway: GatewayProcess, headers: dict[str, str] | None = None, **query: Any) -> AsyncIterator[Events]:
    async with (
        httpx.AsyncClient(base_url=gateway.url, timeout=30) as http,
        http.stream("GET", "/api/stream", params=query, headers=headers) as response,
    ):
        assert response.status_code == 200, await response.aread()
        assert response.headers["content-type"].startswith("text/event-stream")
        events = Events(response)
        assert (await events.next())["event"] == "subscribed"
        yield events


async def test_several_feeds_come_in_one_stream(gateway: GatewayProcess, tables: Tables, unique: str) -> None:
    symbol, board = unique.upper(), f"board_{unique}"
    async with stream(gateway, feed=[f"quote:{symbol}", f"scanners:{board}"], fields="close") as events:
        await tables.quote(symbol, close=12.25)
        first = await events.next()
        assert first["data"]["data"] == {"symbol": symbol, "close": 12.25}
        await tables.board(board, [quote_row("AAA", close=3.0)])
        assert (await events.next())["data"]["data"] == [{"symbol": "AAA", "rank": 1, "close": 3.0}]


async def test_who_comes_back_gets_what_it_missed(gateway: GatewayProcess, tables: Tables, unique: str) -> None:
    board = f"board_{unique}"
    wanted: dict[str, Any] = {"feed": f"scanners:{board}", "mode": "delta", "fields": "close"}
    await tables.board(board, [quote_row("AAA", close=1.0)])
    async with stream(gateway, **wanted) as events:
        snapshot = await events.next()
        while not snapshot["data"].get("snapshot") and "delta" not in snapshot["data"]:
            snapshot = await events.next()
        position = snapshot["id"]
    await tables.board(board, [quote_row("AAA", close=2.0)])
    async with stream(gateway, {"Last-Event-ID": position}, **wanted) as events:
        missed = (await events.next())["data"]
        assert missed["delta"]["upsert"] == [{"symbol": "AAA", "close": 2.0}]
    async with stream(gateway, {"Last-Event-ID": "of:another:7"}, **wanted) as events:
        fresh = (await events.next())["data"]
        assert (fresh["recovered"], fresh["snapshot"]) == (False, [{"symbol": "AAA", "rank": 1, "close": 2.0}])


async def test_a_scan_streams(gateway: GatewayProcess, tables: Tables, unique: str) -> None:
    symbol = unique.upper()
    async with stream(gateway, feed="scan:quotes", filter=f"symbol = '{symbol}'", fields="close") as events:
        assert (await events.next())["data"]["data"] == []
        await tables.quote(symbol, close=4.5)
        state = (await events.next())["data"]
        assert (state["data"], state["enter"], state["count"]) == (
            [{"symbol": symbol, "rank": 1, "close": 4.5}],
            [symbol],
            1,
        )


@pytest.mark.parametrize(
    ("query", "code"),
    [
        pytest.param({"feed": "scan:quotes", "filter": "float < 3"}, "bad_filter", id="filter"),
        pytest.param({"feed": "a", "mode": "x"}, "bad_mode", id="mode"),
        pytest.param({"feed": "a", "max_rate": 1000}, "bad_max_rate", id="rate"),
        pytest.param({"feed": "*" * 9}, "bad_feed", id="stars"),
        pytest.param({"feed": [f"quote:{number}" for number in range(51)]}, "too_many_subscriptions", id="many"),
    ],
)
async def test_what_does_not_fit_is_a_problem_with_the_protocols_code(
    gateway: GatewayProcess, query: dict[str, Any], code: str
) -> None:
    async with httpx.AsyncClient(base_url=gateway.url) as http:
        answer = await http.get("/api/stream", params=query)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert answer.headers["content-type"] == "application/problem+json"


async def test_another_sites_page_is_refused(gateway: GatewayProcess) -> None:
    async with httpx.AsyncClient(base_url=gateway.url) as http:
        answer = await http.get("/api/stream?feed=a", headers={"Origin": "https://evil.example"})
    assert answer.status_code == 403


@pytest.mark.verify
async def test_one_that_never_reads_is_let_go(gateway: GatewayProcess, tables: Tables, unique: str) -> None:
    async def clients() -> int:
        async with httpx.AsyncClient(base_url=gateway.url) as http:
            return int((await http.get("/healthz")).json()["clients"])

    board = f"board_{unique}"
    with socket.create_connection(("127.0.0.1", gateway.port)) as silent:
        silent.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        silent.sendall(f"GET /api/stream?feed=scanners:{board} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())

        async def joined() -> bool:
            return await clients() == 1

        await eventually(joined)

        async def gone() -> bool:
            await tables.board(board, [quote_row(f"S{number}", note="x" * 1000) for number in range(500)])
            return await clients() == 0

        await eventually(gone, timeout_s=30)
