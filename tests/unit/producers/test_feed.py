"""The dialogue with the feed's server, whatever the server does in it."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.server import ServerConnection, serve

from app.errors import FeedError, LoginRefused
from producers import feed
from producers.feed import open_feed

Script = Callable[[ServerConnection], Awaitable[None]]
CONNECTED = '[{"ev":"status","status":"connected","message":"Connected Successfully"}]'
ACCEPTED = '[{"ev":"status","status":"auth_success","message":"authenticated"}]'


@asynccontextmanager
async def server(script: Script) -> AsyncIterator[str]:
    """A WebSocket server that runs the script with each client; gives its URL."""
    async with serve(script, "127.0.0.1", 0) as running:
        port = next(iter(running.sockets)).getsockname()[1]
        yield f"ws://127.0.0.1:{port}/stocks"


async def greet(client: ServerConnection) -> dict[str, str]:
    """The dialogue up to the accepted login; gives the login."""
    await client.send(CONNECTED)
    login: dict[str, str] = json.loads(await client.recv())
    await client.send(ACCEPTED)
    return login


async def test_login_and_subscriptions_are_one_message_each() -> None:
    """As the vendor's protocol has it."""
    said = []

    async def script(client: ServerConnection) -> None:
        said.append(await greet(client))
        said.append(json.loads(await client.recv()))
        await client.send('[{"ev":"T","sym":"A"}]')
        await client.wait_closed()

    async with server(script) as url:
        connection = await open_feed(url, "k", ["T.*", "A.*"])
        assert await connection.receive() == b'[{"ev":"T","sym":"A"}]'
        await connection.close()
    assert said == [{"action": "auth", "params": "k"}, {"action": "subscribe", "params": "A.*,T.*"}]


async def test_only_what_differs_is_subscribed_and_unsubscribed() -> None:
    """First what goes, then what comes; nothing when nothing differs."""
    said: asyncio.Queue[tuple[str, str]] = asyncio.Queue()

    async def script(client: ServerConnection) -> None:
        await greet(client)
        async for message in client:
            found = json.loads(message)
            await said.put((found["action"], found["params"]))

    async with server(script) as url:
        connection = await open_feed(url, "k", ["A.*", "T.*"])
        await connection.hold(["A.*", "T.*"])
        await connection.hold(["A.*", "Q.*"])
        heard = [await asyncio.wait_for(said.get(), 5) for _ in range(3)]
        await connection.close()
    assert heard == [("subscribe", "A.*,T.*"), ("unsubscribe", "T.*"), ("subscribe", "Q.*")]
    assert said.empty()


async def test_frames_that_are_no_answer_do_not_disturb_the_login() -> None:
    """Data before the answer, an empty frame, one that is no JSON."""

    async def script(client: ServerConnection) -> None:
        await client.send("[]")
        await client.send(CONNECTED)
        await client.recv()
        for frame in ('[{"ev":"T","sym":"A"}]', "not json", ACCEPTED):
            await client.send(frame)
        await client.wait_closed()

    async with server(script) as url:
        connection = await open_feed(url, "k", ["T.*"])
        await connection.close()


@pytest.mark.parametrize(
    ("status", "error", "text"),
    [
        ("auth_failed", LoginRefused, "refused the API key .*check MASSIVE_API_KEY"),
        ("auth_timeout", FeedError, "auth_timeout"),
        ("max_connections", FeedError, "max_connections"),
        ("error", FeedError, "not authorized"),
    ],
)
async def test_only_a_wrong_key_is_final(status: str, error: type[FeedError], text: str) -> None:
    """Whatever else the server says, it is worth another try."""

    async def script(client: ServerConnection) -> None:
        await client.send(CONNECTED)
        await client.recv()
        await client.send(json.dumps([{"ev": "status", "status": status, "message": "not authorized"}]))
        await client.close(1008)

    async with server(script) as url:
        with pytest.raises(FeedError, match=text) as raised:
            await open_feed(url, "k", ["T.*"])
    assert raised.type is error


async def test_a_server_that_stays_silent_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before its greeting, which the vendor's client would await for ever."""
    monkeypatch.setattr(feed, "HANDSHAKE_TIMEOUT_S", 0.2)
    async with server(lambda client: client.wait_closed()) as url:
        with pytest.raises(FeedError, match="did not answer within"):
            await open_feed(url, "k", ["T.*"])


@pytest.mark.parametrize("code", [1000, 1001, 1008])
async def test_a_polite_close_is_an_end_like_others(code: int) -> None:
    """In the flow and during the login."""

    async def in_flow(client: ServerConnection) -> None:
        await greet(client)
        await client.recv()
        await client.close(code)

    async def in_login(client: ServerConnection) -> None:
        await client.send(CONNECTED)
        await client.close(code)

    async with server(in_flow) as url:
        connection = await open_feed(url, "k", ["T.*"])
        with pytest.raises(FeedError, match=str(code)):
            await connection.receive()
    async with server(in_login) as url:
        with pytest.raises(FeedError, match="closed"):
            await open_feed(url, "k", ["T.*"])


async def test_a_server_that_is_not_there_and_a_proxy_that_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unreachable server is a `FeedError`; a proxy of the environment does not take a plain feed."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with pytest.raises(FeedError, match="cannot be reached"):
        await open_feed("ws://127.0.0.1:9/stocks", "k", ["T.*"])

    async def script(client: ServerConnection) -> None:
        await greet(client)
        await client.wait_closed()

    async with server(script) as url:
        await (await open_feed(url, "k", ["T.*"])).close()


async def test_the_key_is_in_no_log(caplog: pytest.LogCaptureFixture) -> None:
    """At DEBUG the WebSocket library would log each message that it sends."""

    async def script(client: ServerConnection) -> None:
        await greet(client)
        await client.wait_closed()

    async with server(script) as url:
        caplog.set_level(logging.DEBUG)
        logging.getLogger("websockets.server").setLevel(logging.INFO)
        await (await open_feed(url, "very-secret-key", ["T.*"])).close()
    assert "very-secret-key" not in caplog.text
