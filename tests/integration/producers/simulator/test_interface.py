"""What the producer and `tapereader up` rely on of the simulator: its address and its statistics."""

import asyncio
import json
from collections import Counter
from typing import Any

import aiohttp
import pytest
from massive import WebSocketClient

from app.errors import StartupError
from producers.simulator import DEFAULT_API_KEY, Simulator
from tests.eventually import eventually
from tests.simulator_client import ended

START = "2026-11-20T10:00"


async def _stats(simulator: Simulator) -> dict[str, Any]:
    async with aiohttp.ClientSession() as session, session.get(f"{simulator.rest_url}/control/stats") as answer:
        assert answer.status == 200
        return dict(await answer.json())


async def test_the_address_is_the_one_that_was_asked_for() -> None:
    async with Simulator(symbols=5, events_per_s=50, start=START, host="127.0.0.2") as simulator:
        assert simulator.ws_feed == f"127.0.0.2:{simulator.port}"
        assert (await _stats(simulator))["connections_total"] == 0
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", simulator.port)


@pytest.mark.parametrize("path", ["/control/faults", "/control/emit"])
async def test_a_control_that_is_nested_thousands_deep_is_refused_in_a_sentence(path: str) -> None:
    """Or sent byte for byte, as an event is: one that nobody can read is to be had of the simulator, too."""
    body = '{"unknown":' + "[" * 5000 + "]" * 5000 + "}"
    async with (
        Simulator(symbols=5, events_per_s=50, start=START) as simulator,
        aiohttp.ClientSession() as session,
        session.post(f"{simulator.rest_url}{path}", data=body) as answer,
    ):
        assert (answer.status, "error" in await answer.json()) in {(400, True), (200, False)}


async def test_a_port_that_is_taken_is_named_in_the_error() -> None:
    async with Simulator(symbols=5, events_per_s=50, start=START) as first:
        with pytest.raises(StartupError, match=f"127.0.0.1, port {first.port} "):
            async with Simulator(symbols=5, events_per_s=50, start=START, port=first.port):
                pytest.fail("two simulators listened on one port")


@pytest.mark.verify
async def test_the_totals_are_what_the_sdk_received() -> None:
    received: Counter[str] = Counter()

    async def count(frame: str | bytes) -> None:
        received.update(event["ev"] for event in json.loads(frame) if event["ev"] != "status")

    async with Simulator(symbols=50, events_per_s=500, start=START) as simulator:
        client = WebSocketClient(
            api_key=DEFAULT_API_KEY, feed=simulator.ws_feed, market="stocks", secure=False, raw=True,
            subscriptions=["A.*", "T.*", "Q.*"], max_reconnects=0,
        )  # fmt: skip
        connecting = asyncio.create_task(client.connect(count, proxy=None))
        try:
            await eventually(lambda: {"A", "T", "Q"} <= received.keys())
            pausing = f"{simulator.rest_url}/control/pause"
            async with aiohttp.ClientSession() as session, session.post(pausing) as answer:
                assert answer.status == 200
            # Frames queued before the pause are still counted as they are written: wait for both to agree.
            await eventually(lambda: received == simulator.feed.sent)
            stats = await _stats(simulator)
            assert stats["events_sent"] == dict(received)
            assert stats["events_sent_total"] == received.total()
            assert stats["connections_total"] == stats["connections"]["now"] == 1
            assert stats["virtual_time"].startswith("2026-11-20T10:00:")
            assert stats["paused"] is True
        finally:
            await ended(connecting)
