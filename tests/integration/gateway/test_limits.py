"""Who may connect to a gateway, how many, and what becomes of slow ones; how it stops and starts."""

import asyncio
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets
from websockets.asyncio.client import ClientConnection, connect

from app.gateway.protocol.messages import Close
from tests.eventually import eventually
from tests.gateway_fixtures import ask, following, get
from tests.gateway_stack import GatewayProcess, Tables, quote_row

pytestmark = pytest.mark.verify


async def test_a_client_that_does_not_read_is_closed_and_others_notice_nothing(
    client: ClientConnection, tables: Tables, unique: str, gateway: GatewayProcess
) -> None:
    feed = f"scanners:board_{unique}"
    slow = socket.create_connection(("127.0.0.1", gateway.port))
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.sendall(
        b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
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
        gateway_broker, tmp_path_factory.mktemp("locked") / "gateway.log", gateway_api_key="the-right-key-of-the-house"
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
        assert await ask(friend, {"action": "auth", "api_key": "the-right-key-of-the-house"}) == {
            "status": "authorized"
        }
        assert (await ask(friend, {"action": "get", "cache": "quote:NONE"}))["data"] is None
    refused = await get(locked, "/api/quotes")
    assert refused.status_code == 401
    assert refused.headers["content-type"] == "application/problem+json"
    async with httpx.AsyncClient(
        base_url=locked.url, headers={"Authorization": "Bearer the-right-key-of-the-house"}
    ) as http:
        assert (await http.get("/api/quotes")).status_code == 200
    async with connect(
        locked.ws_url, additional_headers={"Authorization": "Bearer the-right-key-of-the-house"}
    ) as program:
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
