"""Each attack is refused with its code, while another client goes on receiving."""

import asyncio
import itertools
import json
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import pytest
import websockets
from joserfc import jwt
from joserfc.jwk import OctKey
from websockets.asyncio.client import ClientConnection, connect

from app.gateway.protocol.messages import MAX_MESSAGE_BYTES, Close
from app.kafka.admin import ensure_topics
from app.kafka.topics import ALL_TOPICS
from tests.gateway_stack import GatewayProcess, Tables

pytestmark = pytest.mark.verify

SECRET = "a secret that programs share with the gateway"
ISSUER, AUDIENCE = "https://issuer.example", "tapereader"
KEY = "the-viewers-own-key"

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def gateway(broker_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    asyncio.run(ensure_topics(broker_url, ALL_TOPICS, 4))
    process = GatewayProcess(
        broker_url, tmp_path_factory.mktemp("security") / "gateway.log",
        gateway_api_keys=f"viewer:{KEY},operator:the-operators-key", gateway_jwt_secret=SECRET,
        gateway_jwt_issuer=ISSUER, gateway_jwt_audience=AUDIENCE, gateway_jwt_leeway_s=0, gateway_max_scans=150,
    ).start()  # fmt: skip
    yield process
    assert process.stop() == 0


@pytest.fixture
async def tables(broker_url: str) -> AsyncIterator[Tables]:
    async with Tables(broker_url) as writer:
        yield writer


class Friend:
    """A client that does nothing wrong, and can tell whether it is still served."""

    def __init__(self, connection: ClientConnection, tables: Tables, symbol: str) -> None:
        self._connection, self._tables, self._symbol = connection, tables, symbol

    async def still_receives(self) -> bool:
        """Whether a new price arrives."""
        price = float(next(_numbers))
        await self._tables.quote(self._symbol, close=price)
        async with asyncio.timeout(10):
            while json.loads(await self._connection.recv()).get("close") != price:
                pass
        return True


@pytest.fixture
async def friend(gateway: GatewayProcess, tables: Tables, unique: str) -> AsyncIterator[Friend]:
    symbol = f"{unique.upper()}.F"
    async with connect(gateway.ws_url, additional_headers={"X-API-Key": KEY}) as connection:
        await connection.send(json.dumps({"action": "subscribe", "feed": f"quote:{symbol}"}))
        await connection.recv()
        found = Friend(connection, tables, symbol)
        assert await found.still_receives()
        yield found


def token(secret: str = SECRET, **changes: Any) -> str:
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "bot", "exp": int(time.time()) + 60} | changes
    return jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(secret))


def unsigned() -> str:
    payload = token().split(".")[1]
    return f"eyJhbGciOiJub25lIn0.{payload}."


async def closed(client: ClientConnection) -> int | None:
    """The code that a connection is closed with; messages before it are read."""
    async with asyncio.timeout(15):
        try:
            while True:
                await client.recv()
        except websockets.ConnectionClosed as end:
            return end.rcvd.code if end.rcvd is not None else None


@pytest.mark.parametrize(
    ("first", "fault", "code"),
    [
        pytest.param(lambda: {"action": "auth"}, None, Close.INVALID_KEY, id="no-token"),
        pytest.param(lambda: {"action": "auth", "api_key": "wrong"}, None, Close.INVALID_KEY, id="wrong-key"),
        pytest.param(lambda: {"action": "list"}, None, Close.UNAUTHORIZED, id="no-auth"),
        pytest.param(lambda: {"action": "auth", "token": "x"}, "not_a_token", Close.INVALID_TOKEN, id="junk"),
        pytest.param(lambda: {"action": "auth", "token": token("another secret, and as long as that one")},
                     "bad_signature", Close.INVALID_TOKEN, id="wrong-secret"),
        pytest.param(lambda: {"action": "auth", "token": token(exp=1)}, "expired_token", Close.EXPIRED_TOKEN,
                     id="expired"),
        pytest.param(lambda: {"action": "auth", "token": token(aud="else")}, "wrong_audience", Close.INVALID_TOKEN,
                     id="audience"),
        pytest.param(lambda: {"action": "auth", "token": token(iss="else")}, "wrong_issuer", Close.INVALID_TOKEN,
                     id="issuer"),
        pytest.param(lambda: {"action": "auth", "token": unsigned()}, "bad_signature", Close.INVALID_TOKEN,
                     id="alg-none"),
    ],
)  # fmt: skip
async def test_who_is_not_known_is_refused_with_a_code(
    gateway: GatewayProcess, friend: Friend, first: Callable[[], Any], fault: str | None, code: Close
) -> None:
    async with connect(gateway.ws_url) as intruder:
        await intruder.send(json.dumps({"id": 5, **first()}))
        async with asyncio.timeout(15):
            answer = json.loads(await intruder.recv())
        assert answer["id"] == 5
        assert answer.get("code") == fault
        assert await closed(intruder) == code
    assert await friend.still_receives()


async def test_a_token_signs_in_by_message_and_by_header(gateway: GatewayProcess) -> None:
    async with connect(gateway.ws_url) as client:
        await client.send(json.dumps({"action": "auth", "token": token()}))
        assert json.loads(await client.recv()) == {"status": "authorized"}
    async with connect(gateway.ws_url, additional_headers={"Authorization": f"Bearer {token()}"}) as client:
        await client.send(json.dumps({"action": "list"}))
        assert json.loads(await client.recv())["status"] == "subscriptions"


async def test_an_open_connection_ends_with_its_token_unless_a_new_one_comes(gateway: GatewayProcess) -> None:
    async with connect(gateway.ws_url) as client, connect(gateway.ws_url) as faithful:
        for each in (client, faithful):
            await each.send(json.dumps({"action": "auth", "token": token(exp=int(time.time()) + 3)}))
            assert json.loads(await each.recv()) == {"status": "authorized"}
        await faithful.send(json.dumps({"action": "auth", "token": token()}))
        assert json.loads(await faithful.recv()) == {"status": "authorized"}
        assert await closed(client) == Close.SIGN_IN_ENDED
        await faithful.send(json.dumps({"action": "ping"}))
        assert json.loads(await faithful.recv()) == {"status": "pong"}


@pytest.mark.parametrize(
    ("headers", "problem"),
    [
        pytest.param(lambda: {}, "no-credentials", id="none"),
        pytest.param(lambda: {"X-API-Key": "wrong"}, "invalid-key", id="key"),
        pytest.param(lambda: {"Authorization": f"Bearer {token(exp=1)}"}, "expired-token", id="expired"),
        pytest.param(lambda: {"Authorization": f"Bearer {token(aud='else')}"}, "wrong-audience", id="audience"),
        pytest.param(lambda: {"Authorization": f"Bearer {token(iss='else')}"}, "wrong-issuer", id="issuer"),
        pytest.param(lambda: {"Authorization": f"Bearer {unsigned()}"}, "bad-signature", id="alg-none"),
    ],
)
async def test_rest_refuses_as_the_socket_does(
    gateway: GatewayProcess, headers: Callable[[], dict[str, str]], problem: str
) -> None:
    async with httpx.AsyncClient(base_url=gateway.url) as http:
        answer = await http.get("/api/quotes", headers=headers())
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert answer.json()["type"] == f"urn:tapereader:problem:{problem}"
        assert (await http.get(f"/api/quotes?token={token()}&api_key={KEY}")).status_code == 401, "not in the URL"
        assert (await http.get("/api/quotes", headers={"Authorization": f"Bearer {token()}"})).status_code == 200


async def test_another_sites_page_is_refused_where_no_key_stands_for_the_user(
    broker_url: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    process = GatewayProcess(broker_url, tmp_path_factory.mktemp("open") / "gateway.log").start()
    try:
        with pytest.raises(websockets.InvalidStatus) as refused:
            await connect(process.ws_url, origin=websockets.Origin("https://evil.example"))
        assert refused.value.response.status_code == 403
        async with connect(process.ws_url, origin=websockets.Origin(process.url)) as own:
            await own.send('{"action":"ping"}')
            assert json.loads(await own.recv()) == {"status": "pong"}
    finally:
        assert process.stop() == 0


@pytest.fixture
async def attacker(gateway: GatewayProcess) -> AsyncIterator[ClientConnection]:
    async with connect(gateway.ws_url, additional_headers={"X-API-Key": KEY}, max_size=None) as connection:
        yield connection


async def test_an_oversized_message_ends_its_connection_only(attacker: ClientConnection, friend: Friend) -> None:
    await attacker.send("x" * (MAX_MESSAGE_BYTES + 1))
    assert await closed(attacker) == 1009
    assert await friend.still_receives()


@pytest.mark.parametrize(
    "message",
    ["", "{", "[" * 30_000, "[]", "nul", '{"action":{}}', b"\xff\xfe", '{"action":"subscribe","feed":7}',
     '{"action":"subscribe","feed":"scan:quotes","filter":{"$where":"1"}}', '{"id":[],"action":"ping"}',
     '{"action":"subscribe","feed":"quote:A","limit":1e400}'],
)  # fmt: skip
async def test_a_malformed_message_is_answered_and_the_connection_stays(
    attacker: ClientConnection, friend: Friend, message: str | bytes
) -> None:
    await attacker.send(message)
    async with asyncio.timeout(15):
        answer = json.loads(await attacker.recv())
    assert answer["status"] in ("error", "invalid action")
    await attacker.send('{"action":"ping"}')
    assert json.loads(await attacker.recv()) == {"status": "pong"}
    assert await friend.still_receives()


async def test_a_frame_that_breaks_the_websocket_protocol_ends_its_connection_only(
    gateway: GatewayProcess, friend: Friend
) -> None:
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as raw:
        raw.sendall(
            b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        assert b"101" in raw.recv(4096)
        raw.sendall(b"\x81\x05hello")  # a client's frame that is not masked
        received = b""
        while chunk := raw.recv(4096):
            received += chunk
    assert b"\x03\xea" in received, "close code 1002"
    assert await friend.still_receives()


async def test_ten_thousand_subscriptions_are_five_hundred(attacker: ClientConnection, friend: Friend) -> None:
    codes: list[str] = []

    async def answers() -> None:
        while len(codes) < 700:
            answer = json.loads(await attacker.recv())
            codes.append(answer.get("code", answer["status"]))

    async def requests() -> None:
        # The gateway takes 500 at once and 100 a second then: the others wait in the attacker's own buffers.
        for number in range(10_000):
            await attacker.send(json.dumps({"action": "subscribe", "feed": f"quote:X{number}"}))

    sending = asyncio.create_task(requests())
    try:
        async with asyncio.timeout(30):
            await answers()
            assert await friend.still_receives()
    finally:
        sending.cancel()
        await asyncio.wait([sending])
    assert codes == ["subscribed"] * 500 + ["too_many_subscriptions"] * 200


async def test_filters_that_are_made_to_be_slow_slow_nobody_down(attacker: ClientConnection, friend: Friend) -> None:
    refused = ["not " * 10_000 + "true", "(" * 10_000, " or ".join(["close>1"] * 5_000), "1" * 60_000,
               "symbol in (" + ",".join(["'a'"] * 10_000) + ")"]  # fmt: skip
    for number, text in enumerate(refused):
        await attacker.send(json.dumps({"action": "subscribe", "feed": f"scan:quotes:{number}", "filter": text}))
        assert json.loads(await attacker.recv())["code"] == "bad_filter"
    # As large as a filter may be, a hundred of them, each another.
    for number in range(100):
        text = " or ".join(f"close*{number}.{each}>volume" for each in range(30))
        await attacker.send(json.dumps({"action": "subscribe", "feed": f"scan:quotes:{number}", "filter": text}))
        answer = json.loads(await attacker.recv())
        assert answer["status"] == "subscribed", answer
    assert await friend.still_receives()
