"""The simulator as the vendor's unmodified SDK and a bare WebSocket client see it."""

import asyncio
import json
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp
import msgspec
import pytest
from massive import RESTClient, WebSocketClient
from massive.exceptions import AuthError, BadResponse
from urllib3.exceptions import MaxRetryError
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedError

from app.errors import StartupError
from app.market.events import Aggregate
from producers.simulator import Simulator
from tests.conftest import free_port
from tests.eventually import eventually

START = "2026-11-20T10:00"
CHANNELS = ["A.*", "T.*", "Q.*", "LULD.*"]
Event = dict[str, Any]


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(symbols=100, seed=4, start=START, events_per_s=700, speed=2) as running:
        yield running


async def control(simulator: Simulator, path: str, body: Any = None) -> Event:
    """An answer of `/control/*` that is 200."""
    async with aiohttp.ClientSession() as session:
        sending = session.get if path == "stats" else session.post
        options = {} if body is None else {"json": body}
        async with sending(f"{simulator.rest_url}/control/{path}", **options) as answer:
            assert answer.status == 200, await answer.text()
            return dict(await answer.json())


class Client:
    """A bare client of the feed: what it received, in order."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.events: list[Event] = []
        self.frames: list[str] = []
        self.statuses: list[Event] = []
        self.reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for frame in self.socket:
            text = str(frame)
            self.frames.append(text)
            with suppress(ValueError):
                events = json.loads(text)
                for event in events if isinstance(events, list) else []:
                    if isinstance(event, dict):
                        (self.statuses if event.get("ev") == "status" else self.events).append(event)

    async def say(self, action: str, params: str) -> None:
        await self.socket.send(json.dumps({"action": action, "params": params}))

    def messages(self) -> list[str]:
        return [status["message"] for status in self.statuses]

    def counts(self) -> Counter[str]:
        return Counter(event["ev"] for event in self.events)


@asynccontextmanager
async def connected(simulator: Simulator, *channels: str, key: str = "simulator") -> AsyncIterator[Client]:
    """A client that has sent its login and subscriptions."""
    async with connect(f"ws://{simulator.ws_feed}/stocks", proxy=None, close_timeout=1) as socket:
        client = Client(socket)
        await client.say("auth", key)
        if channels:
            await client.say("subscribe", ",".join(channels))
        try:
            yield client
        finally:
            client.reading.cancel()
            with suppress(asyncio.CancelledError, ConnectionClosed):
                await client.reading


@asynccontextmanager
async def sdk(
    simulator: Simulator, handler: Callable[[Any], Awaitable[None]], *, raw: bool, key: str = "simulator"
) -> AsyncIterator[asyncio.Task[None]]:
    """The vendor's client, connected; its task ends as `connect` does."""
    client = WebSocketClient(
        api_key=key, feed=simulator.ws_feed, market="stocks", secure=False, raw=raw, subscriptions=list(CHANNELS),
        max_reconnects=0,
    )  # fmt: skip
    task: asyncio.Task[None] = asyncio.create_task(client.connect(handler, proxy=None))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait({task})


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
    assert trade.size > 0
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
        await socket.send('{"action":"subscribe","params":"T.AAPL,BAD"}')
        answer = json.loads(await socket.recv())
        assert [(status["status"], status["message"]) for status in answer] == [
            ("success", "subscribed to: T.AAPL"),
            ("error", "not a channel: BAD"),
        ]
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


async def test_a_second_connection_of_a_key_is_told_so_and_closed(simulator: Simulator) -> None:
    async with connected(simulator, "T.*") as first:
        await eventually(lambda: first.events)
        await control(simulator, "faults", {"max_connections_close": 1000})
        async with connected(simulator) as second:
            await eventually(lambda: [status for status in second.statuses if status["status"] == "max_connections"])
            await asyncio.wait_for(second.socket.wait_closed(), 10)
            assert second.socket.close_code == 1000
        assert (await control(simulator, "stats"))["connections"] == {"now": 1, "total": 1}
    await eventually(lambda: simulator.statistics()["connections"]["now"] == 0)
    async with connected(simulator, "T.*") as third:
        await eventually(lambda: third.events)


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


async def test_a_drop_is_an_abort_and_the_next_connection_lives(simulator: Simulator) -> None:
    async with connected(simulator, "T.*") as client:
        await eventually(lambda: client.events)
        assert (await control(simulator, "faults", {"drop": True}))["connections"] == 1
        with pytest.raises(ConnectionClosedError):
            await asyncio.wait_for(client.reading, 10)
    async with connected(simulator, "T.*") as client:
        await eventually(lambda: client.events)


@pytest.mark.parametrize("code", [1000, 1001, 1008])
async def test_a_polite_close_has_the_code_asked_for(simulator: Simulator, code: int) -> None:
    async with connected(simulator, "T.*") as client:
        await eventually(lambda: client.events)
        await control(simulator, "faults", {"close": code})
        if code == 1008:
            with pytest.raises(ConnectionClosedError):
                await asyncio.wait_for(client.reading, 10)
        else:
            await asyncio.wait_for(client.reading, 10)
        assert client.socket.close_code == code


async def test_a_silent_connection_is_mute_and_its_replacement_is_not(simulator: Simulator) -> None:
    async with connected(simulator, "T.*") as client:
        await eventually(lambda: client.events)
        await control(simulator, "faults", {"silence_s": 600})
        asked = len(client.messages())
        await client.say("subscribe", "Q.*")
        # Frames are sent in turn: once the answer is here, so is all that came before the silence.
        await eventually(lambda: len(client.messages()) > asked)
        count, second = len(client.events), simulator.model.next_ms
        await eventually(lambda: simulator.model.next_ms > second + 3000)
        assert len(client.events) == count
    async with connected(simulator, "T.*") as client:
        await eventually(lambda: client.events)


async def test_malformed_frames_and_odd_events_come_between_good_ones(simulator: Simulator) -> None:
    async with connected(simulator, "T.*") as client:
        await eventually(lambda: client.events)
        await control(simulator, "faults", {"malformed": 4, "unknown_event": 2, "no_symbol": 3})
        await eventually(lambda: "not json" in client.frames and client.counts()["XYZ"] and client.counts()["NOI"])
        assert len([event for event in client.events if not event.keys() & {"sym", "T"}]) == 3
        count = client.counts()["T"]
        await eventually(lambda: client.counts()["T"] > count + 20)
        stats = await control(simulator, "stats")
    assert stats["counts"]["malformed_frames"] == 4
    assert (stats["events_sent"]["unknown"], stats["events_sent"]["no_symbol"]) == (2, 3)


async def test_logins_are_refused_and_dropped_on_request(simulator: Simulator) -> None:
    await control(simulator, "faults", {"refuse_login": True})
    async with connected(simulator, "T.*") as client:
        await eventually(lambda: [status for status in client.statuses if status["status"] == "auth_failed"])
    await control(simulator, "faults", {"reset": True, "drop_during_auth": 1})
    async with connected(simulator) as client:
        with pytest.raises(ConnectionClosedError):
            await asyncio.wait_for(client.reading, 10)
    async with connected(simulator, "T.*") as client:
        await eventually(lambda: client.events)


async def test_a_closed_market_says_so_and_sends_nothing(simulator: Simulator) -> None:
    rest = RESTClient("simulator", base=simulator.rest_url)
    async with connected(simulator, "T.*") as client:
        await eventually(lambda: client.events)
        await control(simulator, "faults", {"market": "closed"})
        assert (await asyncio.to_thread(rest.get_market_status)).market == "closed"
        await client.say("subscribe", "Q.*")
        await eventually(lambda: "subscribed to: Q.*" in client.messages())
        place, count = simulator.model.next_ms, len(client.events)
        for _ in range(5):
            simulator.clock.jump(place + 60_000)
            await simulator.feed.tick()
        assert simulator.model.next_ms == place
        await client.say("unsubscribe", "Q.*")
        await eventually(lambda: "unsubscribed to: Q.*" in client.messages())
        assert len(client.events) == count
        await control(simulator, "faults", {"market": None})
        await eventually(lambda: len(client.events) > count)
    assert (await asyncio.to_thread(rest.get_market_status)).market == "open"


async def test_emitted_events_reach_who_subscribed_to_them_byte_for_byte(simulator: Simulator) -> None:
    await control(simulator, "pause")
    mine = '{"ev": "T", "sym": "AAPL", "p": 1.50, "s": 7, "mine": true}'
    band = '{"ev":"LULD","T":"MSFT","h":2,"l":1}'
    async with connected(simulator, "T.AAPL", "LULD.*") as client:
        await eventually(lambda: len(client.messages()) == 4)
        async with aiohttp.ClientSession() as session:
            body = f'[{mine},{band},{{"ev":"T","sym":"MSFT"}}]'
            async with session.post(f"{simulator.rest_url}/control/emit", data=body) as answer:
                assert await answer.json() == {"deliveries": 2}
            async with session.post(f"{simulator.rest_url}/control/emit", data="[1]") as answer:
                assert answer.status == 400
        await eventually(lambda: f"[{mine},{band}]" in client.frames)


async def test_a_client_that_does_not_read_is_cut_off_and_others_are_not(simulator: Simulator) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", simulator.port, limit=1024)
    event = json.dumps({"ev": "T", "sym": "AAPL", "filler": "x" * 100_000})
    try:
        writer.write(
            b"GET /stocks HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        for action, params in (("auth", "simulator"), ("subscribe", "T.AAPL")):
            text = json.dumps({"action": action, "params": params}).encode()
            writer.write(bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text)
        await writer.drain()
        await reader.readuntil(b"subscribed to")
        body = "[" + ",".join([event] * 9) + "]"
        async with aiohttp.ClientSession() as session:
            for _ in range(200):
                async with session.post(f"{simulator.rest_url}/control/emit", data=body) as answer:
                    await answer.read()
                if simulator.counts["slow_consumers"]:
                    break
            assert simulator.counts["slow_consumers"] == 1
    finally:
        writer.close()
    assert simulator.statistics()["connections"]["now"] == 0
    async with connected(simulator, "T.*") as client:
        await eventually(lambda: client.events)


def read_rest(simulator: Simulator) -> None:
    """Each REST call that the platform makes, by the vendor's SDK."""
    rest = RESTClient("simulator", base=simulator.rest_url)
    status = rest.get_market_status()
    assert (status.market, status.early_hours, status.after_hours) == ("open", False, False)
    assert status.server_time.startswith("2026-11-20T10:0")
    holidays = {(row.date, row.exchange): row for row in rest.get_market_holidays()}
    assert holidays["2026-11-26", "NYSE"].status == "closed"
    assert holidays["2026-11-27", "NASDAQ"].close == "2026-11-27T18:00:00.000Z"

    snapshot = rest.get_snapshot_ticker("stocks", "AAPL")
    days = list(rest.list_aggs("AAPL", 1, "day", "2026-10-08", "2026-11-19", sort="desc", limit=7))
    assert len(days) == 31, "sessions of six weeks, over five pages"
    assert [day.timestamp for day in days] == sorted((day.timestamp for day in days), reverse=True)
    assert (snapshot.prev_day.close, snapshot.prev_day.volume) == (days[0].close, days[0].volume)
    ratio = next(iter(rest.list_financials_ratios(ticker="AAPL")))
    volumes = [day.volume for day in days][:30]
    assert ratio.average_volume == pytest.approx(sum(volumes) / 30, abs=1)
    assert next(iter(rest.list_stocks_floats(ticker="AAPL"))).free_float > 0
    assert list(rest.list_aggs("NOBODY", 1, "day", "2026-10-08", "2026-11-20")) == []
    with pytest.raises(BadResponse, match="Ticker not found"):
        rest.get_snapshot_ticker("stocks", "NOBODY")

    tickers = [row.ticker for row in rest.list_tickers(limit=30)]
    assert sorted(tickers) == sorted(simulator.model.universe.tickers)
    assert [row.ticker for row in rest.list_tickers(ticker="TSLA")] == ["TSLA"]
    assert all(row.ticker >= "N" for row in rest.list_tickers(ticker_gte="N"))


async def test_the_sdk_reads_every_endpoint(simulator: Simulator) -> None:
    await asyncio.to_thread(read_rest, simulator)
    requests = (await control(simulator, "stats"))["requests"]
    assert requests.keys() == {"market_status", "holidays", "snapshot", "aggregates", "ratios", "floats", "tickers"}
    assert requests["aggregates"] == 6


async def test_minute_bars_are_those_that_were_streamed() -> None:
    async with Simulator(symbols=30, seed=4, start=START, events_per_s=50, speed=60) as simulator:
        async with connected(simulator, "AM.*") as client:
            await eventually(lambda: len({event["s"] for event in client.events}) >= 4)
            await control(simulator, "pause")
        rest = RESTClient("simulator", base=simulator.rest_url)
        rows = await asyncio.to_thread(lambda: list(rest.list_aggs("AAPL", 1, "minute", "2026-11-20", "2026-11-20")))
    bars = {event["s"]: event for event in client.events if event["sym"] == "AAPL"}
    assert bars
    found = {row.timestamp: row for row in rows}
    for start_ms, bar in bars.items():
        assert (found[start_ms].open, found[start_ms].close, found[start_ms].volume) == (bar["o"], bar["c"], bar["v"])


async def test_rest_faults_are_what_the_sdk_runs_into(simulator: Simulator) -> None:
    rest = RESTClient("simulator", base=simulator.rest_url, retries=1)
    await control(simulator, "faults", {"rest_status": 429, "rest_times": 2})
    with pytest.raises(MaxRetryError, match="429"):
        await asyncio.to_thread(rest.get_market_status)
    assert (await asyncio.to_thread(rest.get_market_status)).market == "open"
    await control(simulator, "faults", {"rest_status": 500, "rest_times": 1, "retry_after_s": 0.0})
    assert (await asyncio.to_thread(rest.get_market_status)).market == "open", "the SDK's one retry"
    await control(simulator, "faults", {"rest_garbage": True})
    async with aiohttp.ClientSession(headers={"Authorization": "Bearer simulator"}) as session:
        async with session.get(f"{simulator.rest_url}/v1/marketstatus/now") as answer:
            assert (answer.status, answer.content_type) == (200, "text/html")
        await control(simulator, "faults", {"reset": True, "rest_delay_s": 30})
        with pytest.raises(TimeoutError):
            await session.get(f"{simulator.rest_url}/v1/marketstatus/now", timeout=aiohttp.ClientTimeout(0.3))
    assert (await control(simulator, "stats"))["statuses"]["429"] == 2


async def test_an_unknown_fault_is_refused_by_name(simulator: Simulator) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{simulator.rest_url}/control/faults", json={"dorp": True}) as answer,
    ):
        assert answer.status == 400
        assert "dorp" in (await answer.json())["error"]


async def test_the_closed_night_is_skipped() -> None:
    async with Simulator(symbols=20, seed=2, start="2026-11-25T19:59:30", events_per_s=50, speed=20) as simulator:
        async with connected(simulator, "A.*", "T.*", "Q.*"):
            await eventually(lambda: simulator.model.day.day == "2026-11-27")
        assert simulator.statistics()["virtual_time"].startswith("2026-11-27T04:0")
        rest = RESTClient("simulator", base=simulator.rest_url)
        status = await asyncio.to_thread(rest.get_market_status)
        assert (status.market, status.early_hours) == ("extended-hours", True)


async def first_events(count: int) -> list[Event]:
    """The first events that a client gets of a market which waited for it."""
    async with Simulator(symbols=50, seed=11, start=START, events_per_s=300, speed=5) as simulator:
        await control(simulator, "pause")
        async with connected(simulator, *CHANNELS) as client:
            await eventually(lambda: len(client.messages()) == 2 + len(CHANNELS))
            await control(simulator, "resume")
            await eventually(lambda: len(client.events) > count)
    return client.events


async def test_two_runs_send_the_same_events_at_the_same_market_times() -> None:
    one, two = await first_events(1500), await first_events(1500)
    # How far the market ran before it was told to wait differs: compare from the later start on.
    start = (
        max(next(event["t"] for event in events if event["ev"] == "T") for events in (one, two)) // 1000 * 1000 + 1000
    )

    def from_start(events: list[Event]) -> list[Event]:
        return [event for event in events if event.get("t", event.get("s", 0)) >= start]

    compared = min(len(from_start(one)), len(from_start(two)))
    assert compared > 500
    assert from_start(one)[:compared] == from_start(two)[:compared]
