"""What the simulator does to its clients when it is told to, and what it does not put up with."""

import asyncio
import json

import aiohttp
import pytest
from massive import RESTClient
from websockets.exceptions import ConnectionClosedError

from producers.simulator import Simulator
from tests.eventually import eventually
from tests.simulator_client import connected, control


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


@pytest.mark.verify
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


@pytest.mark.verify
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
