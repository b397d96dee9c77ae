"""What costs a gateway nothing: requests and connections of who has not signed in, or sends too much."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from app.gateway.http.bounds import MAX_BODY_BYTES, MAX_HEAD_BYTES
from tests.gateway_stack import GatewayProcess

KEY = "a-key-of-more-than-sixteen-characters"


@pytest.fixture(scope="module")
def gateway(gateway_broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """One with a key, and room for two clients."""
    process = GatewayProcess(
        gateway_broker, tmp_path_factory.mktemp("unsigned") / "gateway.log",
        gateway_api_key=KEY, gateway_max_clients=2,
    ).start()  # fmt: skip
    yield process
    assert process.stop() == 0


async def _raw(gateway: GatewayProcess, *parts: bytes) -> bytes:
    """What the gateway answers to bytes, until it closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
        async with asyncio.timeout(15):
            return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"GET / HTTP/1.1\r\nX-Long: " + b"x" * (8 * MAX_HEAD_BYTES), id="endless"),
        pytest.param(b"GET / HTTP/1.1\r\nX-Long: " + b"x" * (MAX_HEAD_BYTES + 1) + b"\r\n\r\n", id="long"),
        pytest.param(b"GET / HTTP/1.1\r\n" + b"X-Line: 1\r\n" * 101 + b"\r\n", id="lines"),
        pytest.param(b"GET /" + b"a" * (8 * MAX_HEAD_BYTES), id="address"),
    ],
)
async def test_a_head_beyond_its_bounds_is_refused(gateway: GatewayProcess, head: bytes) -> None:
    """Who goes on sending may find the connection reset before it has read the answer."""
    answer = await _raw(gateway, head)
    assert answer.startswith(b"HTTP/1.1 431") or (not answer and len(head) > 2 * MAX_HEAD_BYTES)


@pytest.mark.verify
async def test_a_head_that_does_not_end_is_refused_in_time(gateway: GatewayProcess) -> None:
    assert (await _raw(gateway, b"GET / HTTP/1.1\r\nHost: a")).startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize(
    "path", ["/control/log-level", "/api/filters/check", "/api/operator/subscriptions", "/nothing"]
)
@pytest.mark.parametrize("declared", [True, False], ids=["declared", "chunked"])
async def test_a_body_beyond_its_bounds_is_not_read(gateway: GatewayProcess, path: str, declared: bool) -> None:
    """Whatever the route: its length is looked at first, and what comes without one is counted."""
    size = 8 * MAX_BODY_BYTES * 4

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(size // 65_536):
            yield b"x" * 65_536

    async with httpx.AsyncClient(base_url=gateway.url, headers={"X-API-Key": KEY, "X-Tapereader-Control": "1"}) as http:
        try:
            answer = await http.put(path, content=b"x" * size if declared else chunks())
        except (httpx.WriteError, httpx.ReadError):
            return  # It answered and closed while we were still sending.
    assert answer.status_code in ((413,) if declared else (413, 403, 404, 405))


async def test_a_body_within_its_bounds_is_served(gateway: GatewayProcess) -> None:
    async with httpx.AsyncClient(base_url=gateway.url, headers={"X-API-Key": KEY}) as http:
        answer = await http.post("/api/filters/check", json={"filter": "close > 1", "padding": "x" * 50_000})
        assert answer.status_code != 413
        assert (await http.get("/readyz")).status_code == 200


@pytest.mark.verify
async def test_connections_that_have_not_signed_in_take_nobody_s_place(gateway: GatewayProcess) -> None:
    """More than there is room for, and a client with a key still comes in; the others have five seconds."""
    strangers = [await connect(gateway.ws_url) for _ in range(5)]
    try:
        async with connect(gateway.ws_url) as client:
            await client.send(json.dumps({"action": "auth", "api_key": KEY}))
            assert json.loads(await client.recv()) == {"status": "authorized"}
            for stranger in strangers:
                async with asyncio.timeout(10):
                    with pytest.raises(ConnectionClosed) as closed:
                        await stranger.recv()
                assert closed.value.rcvd is not None
                assert closed.value.rcvd.code == 4009
    finally:
        for stranger in strangers:
            await stranger.close()


async def test_a_third_client_finds_no_room_when_it_signs_in(gateway: GatewayProcess) -> None:
    async with connect(gateway.ws_url) as first, connect(gateway.ws_url) as second, connect(gateway.ws_url) as third:
        for client in (first, second):
            await client.send(json.dumps({"action": "auth", "api_key": KEY}))
            assert json.loads(await client.recv()) == {"status": "authorized"}
        await third.send(json.dumps({"action": "auth", "api_key": KEY}))
        with pytest.raises(ConnectionClosed) as closed:
            await third.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4010


async def test_a_flood_of_pings_is_closed(gateway: GatewayProcess) -> None:
    headers = {"X-API-Key": KEY}
    async with connect(gateway.ws_url, additional_headers=headers, ping_interval=None) as client:
        transport = client.transport
        transport.write(b"\x89\x80\x00\x00\x00\x00" * 2000)
        with pytest.raises(ConnectionClosed) as closed:
            await client.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1008


def test_the_gateway_still_serves_after_all_that(gateway: GatewayProcess) -> None:
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=5) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        assert connection.recv(15) == b"HTTP/1.1 200 OK"
