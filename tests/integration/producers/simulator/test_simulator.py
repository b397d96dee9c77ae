"""The simulator as the vendor's unmodified SDK and a bare WebSocket client see it."""

import asyncio
import json
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import aiohttp
import msgspec
import pytest
from massive import RESTClient
from massive.exceptions import AuthError, BadResponse
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosedError

from app.errors import StartupError
from app.market.events import Aggregate
from producers.simulator import Simulator
from tests.conftest import free_port
from tests.eventually import eventually
from tests.simulator_client import CHANNELS, START, Event, connected, control, sdk


async def test_the_sdk_receives_every_event_that_was_sent(simulator: Simulator) -> None:
    received: Counter[str] = Counter()

    async def take(frame: str) -> None:
        received.update(event["ev"] for event in json.loads(frame))

    async with sdk(simulator, take, raw=True):
        await eventually(lambda: received["A"] > 100 and received["T"] > 200 and received["Q"] > 400)
        await control(simulator, "pause")

        def all_there() -> bool:
            return bool(received - Counter({"status": received["status"]}) == simulator.feed.sent)

        await eventually(all_there)
    assert (await control(simulator, "stats"))["events_sent"] == dict(simulator.feed.sent)


async def test_the_sdk_makes_its_models_of_every_event() -> None:
    models: dict[str, Any] = {}

    async def take(messages: list[Any]) -> None:
        models.update({message.event_type: message for message in messages})

    async with Simulator(symbols=100, seed=4, start="2026-11-20T09:29:57", events_per_s=700, speed=2) as simulator:
        await control(simulator, "pause")
        async with sdk(simulator, take, raw=False):
            await eventually(lambda: len(simulator.statistics()["subscriptions"]) == len(CHANNELS))
            # Every symbol's bands come with the first second of the regular session.
            await control(simulator, "resume")
            await eventually(lambda: {"A", "T", "Q", "LULD"} <= models.keys())
    bar, trade, quote, band = (models[kind] for kind in ("A", "T", "Q", "LULD"))
    assert bar.high >= max(bar.open, bar.close) >= min(bar.open, bar.close) >= bar.low > 0
    assert bar.accumulated_volume >= bar.volume > 0
    assert bar.end_timestamp - bar.start_timestamp == 1000
    assert trade.price > 0
    assert float(trade.fractional_shares) > 0
    assert isinstance(trade.id, str)
    assert quote.ask_price > quote.bid_price > 0
    assert quote.ask_size > 0
    assert band.high_price > band.low_price > 0
    assert band.symbol in simulator.model.universe.slot


async def test_the_platforms_own_types_read_the_events(simulator: Simulator) -> None:
    async with connected(simulator, "A.*") as client:
        await eventually(lambda: client.events)
    bar = msgspec.convert(client.events[0], Aggregate)
    assert bar.symbol in simulator.model.universe.slot
    assert bar.accumulated_volume


async def test_the_server_speaks_first_and_asks_for_a_login_before_anything_else(simulator: Simulator) -> None:
    async with connect(f"ws://{simulator.ws_feed}/stocks", proxy=None) as socket:
        assert json.loads(await socket.recv())[0]["status"] == "connected"
        await socket.send('{"action":"subscribe","params":"T.*"}')
        assert json.loads(await socket.recv())[0]["status"] == "auth_required"
        await socket.send('{"action":"auth","params":"simulator"}')
        assert json.loads(await socket.recv())[0]["status"] == "auth_success"
        await socket.send('{"action":"subscribe","params":"T.AAPL"}')
        answer = json.loads(await socket.recv())
        assert [(status["status"], status["message"]) for status in answer] == [("success", "subscribed to: T.AAPL")]
        await socket.send("no json")
        while (frame := json.loads(await socket.recv()))[0]["ev"] != "status":
            pass
        assert frame[0]["status"] == "error"


async def test_only_what_is_subscribed_to_comes_and_ends_with_it(simulator: Simulator) -> None:
    async with connected(simulator, "T.AAPL", "AM.*") as client:
        await eventually(lambda: client.counts()["T"] > 10)
        assert {(event["ev"], event["sym"]) for event in client.events if event["ev"] == "T"} == {("T", "AAPL")}
        assert set(client.counts()) <= {"T", "AM"}
        await client.say("unsubscribe", "T.AAPL")
        await client.say("subscribe", "Q.MSFT")
        await eventually(lambda: "unsubscribed to: T.AAPL" in client.messages() and client.counts()["Q"] > 5)
        trades = client.counts()["T"]
        quotes = client.counts()["Q"]
        await eventually(lambda: client.counts()["Q"] > quotes + 10)
        assert client.counts()["T"] == trades
        assert (await control(simulator, "stats"))["subscriptions"] == ["AM.*", "Q.MSFT"]


async def test_a_wrong_key_is_refused(simulator: Simulator) -> None:
    async def ignore(_: Any) -> None:
        pass

    async with sdk(simulator, ignore, raw=True, key="wrong") as task:
        with pytest.raises(AuthError):
            await asyncio.wait_for(task, 10)
    with pytest.raises(BadResponse, match="Unknown API Key"):
        await asyncio.to_thread(RESTClient("wrong", base=simulator.rest_url).get_market_status)


async def test_a_client_that_does_not_log_in_is_told_so_and_closed(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("producers.simulator.connection.LOGIN_TIMEOUT_S", 0.2)
    async with connect(f"ws://{simulator.ws_feed}/stocks", proxy=None) as socket:
        statuses = [json.loads(frame)[0]["status"] async for frame in _until_closed(socket)]
    assert statuses == ["connected", "auth_timeout"]
    assert socket.close_code == 1008


async def _until_closed(socket: ClientConnection) -> AsyncIterator[str]:
    with suppress(ConnectionClosedError):
        async for frame in socket:
            yield str(frame)


async def test_a_port_that_is_taken_is_named(simulator: Simulator) -> None:
    with pytest.raises(StartupError, match=f"port {simulator.port}"):
        async with Simulator(symbols=5, start=START, port=simulator.port):
            pass


SERVE = """
import asyncio, sys
from app.settings import Settings
from producers.simulator import serve
asyncio.run(serve(Settings.load(simulator_port=int(sys.argv[1]), symbols=7, seed=3, market_start="12:34")))
"""


async def test_serving_from_the_settings_ends_cleanly_on_a_signal() -> None:
    port = free_port()
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", SERVE, str(port))
    try:

        async def is_up() -> Event | None:
            try:
                async with (
                    aiohttp.ClientSession() as session,
                    session.get(f"http://127.0.0.1:{port}/control/stats") as answer,
                ):
                    return dict(await answer.json())
            except aiohttp.ClientConnectionError:
                return None

        statistics: Any = await eventually(is_up)
        assert "T12:34:" in statistics["virtual_time"]
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 15) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
