"""What a live producer says and does in each plan of the vendor's account, and when another process takes its place."""

import asyncio
import json
from typing import Any

import aiohttp
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from app.errors import NoRealTimeData
from app.kafka.topics import FEED
from app.settings import Plan
from producers import live
from tests.eventually import eventually
from tests.integration.producers.live_rig import Rig, live_rig
from tests.simulator_client import connected


async def health(rig: Rig) -> dict[str, Any]:
    async with aiohttp.ClientSession(rig.control_url) as http, http.get("/health") as answer:
        return dict(await answer.json())


async def last_state(broker_url: str) -> dict[str, Any]:
    """The newest record of the feed's state: what a gateway that starts now reads."""
    consumer = AIOKafkaConsumer(bootstrap_servers=broker_url, enable_auto_commit=False)
    part = TopicPartition(FEED.name, 0)
    await consumer.start()
    try:
        end = (await consumer.end_offsets([part]))[part]
        consumer.assign([part])
        consumer.seek(part, end - 1)
        return dict(json.loads((await asyncio.wait_for(consumer.getone(), 10)).value))
    finally:
        await consumer.stop()


async def test_channels_that_are_not_in_the_plan_are_named(broker_url: str) -> None:
    """In health, metrics and the feed's state; what the plan has flows, late."""
    async with live_rig(broker_url, plan=Plan.DEVELOPER, massive_delayed_fallback=True) as rig:
        expected = {"A.*": "acknowledged", "LULD.*": "refused", "Q.*": "refused", "T.*": "acknowledged"}
        await eventually(lambda: rig.producer.channels == expected)
        await rig.flowing()
        await eventually(lambda: rig.producer.lateness.late is True)
        found = await health(rig)
        assert (found["channels"], found["late"], found["last_error"]) == (expected, True, None)
        assert 899 <= found["lag_s"] < 960, "the vendor's clock has whole seconds"
        assert found["feed"].endswith("/delayed/stocks")
        async with aiohttp.ClientSession(rig.control_url) as http, http.get("/metrics") as answer:
            text = await answer.text()
        refused = [line for line in text.splitlines() if "feed_channels{" in line and 'answer="refused"' in line]
        assert len(refused) == 2

        async def told() -> bool:
            state = await last_state(broker_url)
            return (state["channels"], state["late"], state["connected"]) == (expected, True, True)

        await eventually(told)


async def test_a_real_time_host_with_a_delayed_plan_is_one_sentence_with_advice(broker_url: str) -> None:
    async with live_rig(broker_url, plan=Plan.STARTER) as rig:
        assert rig.running is not None
        with pytest.raises(
            NoRealTimeData, match=r"has no real-time data .*set TAPEREADER_MASSIVE_FEED=delayed.massive"
        ):
            await asyncio.wait_for(rig.running, 20)
        assert rig.producer.connections == 1
        state = await last_state(broker_url)
        assert state["connected"] is False
        assert "no real-time data" in state["problem"]


@pytest.mark.verify
async def test_an_evicted_connection_says_so_waits_and_is_counted(
    broker_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one keeps its place meanwhile; a restart by hand does not wait."""
    assert live.EVICTION_PAUSE_S >= 60
    monkeypatch.setattr(live, "EVICTION_PAUSE_S", 600.0)
    async with live_rig(broker_url) as rig:
        await rig.flowing()
        async with connected(rig.simulator, "T.*") as other:
            await eventually(lambda: rig.producer.evictions == 1)
            assert "another connection of the account took this one's place" in str(rig.producer.last_error)
            assert (await health(rig))["evictions"] == 1
            count = len(other.events)
            await eventually(lambda: len(other.events) > count + 100)
            assert rig.producer.connections == 1
        await rig.producer.restart()
        await rig.connected(2)
        await rig.flowing()


async def test_silence_does_not_reconnect_where_nothing_was_acknowledged(broker_url: str) -> None:
    async with live_rig(
        broker_url,
        plan=Plan.STARTER,
        massive_delayed_fallback=True,
        subscriptions=("Q.*", "LULD.*"),
        silence_timeout_s=0.3,
    ) as rig:
        await eventually(lambda: set(rig.producer.channels.values()) == {"refused"})
        connections, second = rig.producer.connections, rig.simulator.model.next_ms
        await eventually(lambda: rig.simulator.model.next_ms >= second + 3000)
        assert rig.producer.connections == connections
        async with aiohttp.ClientSession(rig.control_url) as http, http.get("/readyz") as answer:
            assert answer.status == 503
            assert "refused every channel (LULD.*, Q.*)" in await answer.text()
