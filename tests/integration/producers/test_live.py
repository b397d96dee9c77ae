"""Whatever the feed does, the topics hold each event that came, once, in its symbol's order."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from app.errors import LASTING_EXIT_CODE, LoginRefused
from app.kafka.topics import RECEIVED_NS_HEADER
from app.observability.operations import CONTROL_HEADER
from producers.simulator import Simulator
from tests.conftest import free_port
from tests.eventually import eventually
from tests.integration.producers.live_rig import PARTITIONS, in_order_and_once, live_rig, sent_events

CONTROL = {CONTROL_HEADER: "test"}


async def test_each_event_sent_is_in_its_topic_once_and_in_order(broker_url: str) -> None:
    """Under its symbol, with the time at which it was received, all of a symbol in one partition."""
    async with live_rig(broker_url) as rig:
        await rig.flowing(2000)
        written = await rig.quiesced()
        records = await rig.records()

    assert written.total() == rig.simulator.feed.sent.total() == len(records) > 2000
    places = defaultdict(set)
    for record in records:
        event = json.loads(record.value)
        assert record.key.decode() == event.get("sym", event.get("T"))
        assert int(dict(record.headers)[RECEIVED_NS_HEADER]) > 1_700_000_000 * 10**9
        places[record.key].add(record.partition)
    assert all(len(found) == 1 for found in places.values())
    assert in_order_and_once(records)


@pytest.mark.verify
@pytest.mark.parametrize(
    "faults",
    [
        [{"drop": True}],
        [{"close": 1000}],
        [{"close": 1001}],
        [{"close": 1008}],
        [{"silence_s": 60}],
        [{"drop_during_auth": 2}, {"drop": True}],
        [{"rest_status": 500, "rest_times": 8}, {"drop": True}],
        [{"rest_status": 429, "rest_times": 2, "retry_after_s": 300}, {"drop": True}],
        [{"rest_garbage": True}, {"drop": True}],
    ],
    ids=lambda faults: "-".join(f"{name}={value}" for fault in faults for name, value in fault.items()),
)
async def test_after_a_fault_the_feed_is_back_with_all_subscriptions_and_counts(
    broker_url: str, faults: list[dict[str, Any]]
) -> None:
    """With the market's clock stopped around the fault, every event sent is in the topics once."""
    silent = any("silence_s" in fault for fault in faults)
    async with live_rig(broker_url, silence_timeout_s=1.5 if silent else 15.0) as rig:
        await rig.flowing()
        await rig.quiesced()
        for fault in faults:
            await rig.misbehave(**fault)
        await rig.connected(2)
        rig.simulator.clock.resume()
        await rig.flowing()
        written = await rig.quiesced()

        assert written.total() == rig.simulator.feed.sent.total()
        assert rig.producer.connections == 2
        assert rig.producer.received.total() == written.total()


@pytest.mark.verify
async def test_a_drop_in_the_flow_loses_only_what_never_arrived(broker_url: str) -> None:
    """What was received is published once; what the new connection was sent is there exactly."""
    async with live_rig(broker_url) as rig:
        await rig.flowing()
        await rig.misbehave(drop=True)
        await rig.connected(2)
        await rig.flowing()
        (live,) = [part for part in rig.simulator.feed.connections if part.is_live]
        producer = rig.producer
        await rig.settled(
            lambda: (
                producer.received - producer.received_earlier == live.sent
                and sent_events(producer.publisher) == producer.received
            )
        )

        assert producer.connections == 2
        assert producer.received.total() <= rig.simulator.feed.sent.total()
        assert (await rig.written()).total() == producer.received.total()


async def test_bad_frames_and_events_are_dead_letters_and_the_connection_stays(broker_url: str) -> None:
    """With the reason; unknown types have their own topic."""
    async with live_rig(broker_url) as rig:
        await rig.flowing()
        await rig.misbehave(malformed=2, unknown_event=4, no_symbol=3)
        await eventually(lambda: rig.producer.received["dead"] >= 5)
        await rig.flowing()
        written = await rig.quiesced()

        assert written["massive.unknown"] == 4
        assert written["market.dead-letters"] == 5
        assert rig.producer.connections == 1
        reasons = [
            json.loads(found.value)["reason"] for found in await rig.records() if found.topic.endswith("letters")
        ]
        assert sum("not a JSON array" in reason for reason in reasons) == 2
        assert sum("no symbol" in reason for reason in reasons) == 3


async def test_a_refused_key_ends_the_producer(broker_url: str) -> None:
    """After a drop as at the start; what had come is published."""
    async with live_rig(broker_url) as rig:
        await rig.flowing()
        await rig.quiesced()
        await rig.misbehave(refuse_login=True, drop=True)
        assert rig.running is not None
        with pytest.raises(LoginRefused, match="MASSIVE_API_KEY"):
            await asyncio.wait_for(rig.running, 20)
        assert (await rig.written()).total() == rig.producer.received.total() == rig.simulator.feed.sent.total()


async def test_a_closed_market_is_waited_for(broker_url: str) -> None:
    """No connection while it is closed; one when it opens; the producer is healthy meanwhile."""
    async with live_rig(broker_url, connect=False) as rig, aiohttp.ClientSession() as http:
        await eventually(lambda: rig.producer.market_open is False)
        async with http.get(rig.control_url + "/health") as answer:
            health = await answer.json()
            assert (answer.status, health["connected"], health["market_open"]) == (200, False, False)
        assert rig.simulator.feed.counts["connections"] == 0

        await rig.misbehave(market=None)
        await rig.connected(1)
        await rig.flowing()
        assert (await rig.quiesced()).total() == rig.simulator.feed.sent.total()


@pytest.mark.verify
async def test_subscriptions_change_at_run_time_on_the_same_connection(broker_url: str) -> None:
    """By PUT as a whole, by POST and DELETE one by one; a wrong one is refused with its reason."""
    async with live_rig(broker_url) as rig, aiohttp.ClientSession(rig.control_url, headers=CONTROL) as http:
        async with http.put("/subscriptions", json=["A.*", "T.AAPL"]) as answer:
            assert (answer.status, await answer.json()) == (200, ["A.*", "T.AAPL"])
        await rig.connected(1)
        async with http.post("/subscriptions/LULD.*") as answer:
            assert await answer.json() == ["A.*", "LULD.*", "T.AAPL"]
        async with http.delete("/subscriptions/T.AAPL") as answer:
            assert await answer.json() == ["A.*", "LULD.*"]
        await rig.connected(1)
        for method, path, body, status, text in (
            ("PUT", "/subscriptions", b'{"no":1}', 400, "expected a JSON list"),
            ("PUT", "/subscriptions", b"[", 400, "truncated"),
            ("PUT", "/subscriptions", b'["BAD"]', 400, "'BAD' is not a channel"),
            ("POST", "/subscriptions/T", b"", 400, "'T' is not a channel"),
            ("DELETE", "/subscriptions/Q.*", b"", 404, "Q.* is not subscribed"),
            ("GET", "/nothing", b"", 404, "Not Found"),
            ("DELETE", "/health", b"", 405, "Method Not Allowed"),
        ):
            async with http.request(method, path, data=body) as answer:
                assert answer.status == status
                assert text in (await answer.json())["error"]
        before = rig.producer.received.copy()
        await rig.flowing(50)
        assert set(rig.producer.received - before) <= {"A", "LULD"}
        assert rig.producer.connections == 1


@pytest.mark.verify
async def test_stop_start_and_restart_by_http(broker_url: str) -> None:
    """Stopped means no connection until started; a restart is one new connection."""
    async with live_rig(broker_url) as rig, aiohttp.ClientSession(rig.control_url, headers=CONTROL) as http:
        await rig.flowing()
        await rig.quiesced()
        async with http.post("/stop") as answer:
            assert await answer.json() == {"wanted": False}
        await eventually(lambda: not [part for part in rig.simulator.feed.connections if part.is_live])
        async with http.get("/healthz") as answer:
            assert (answer.status, (await answer.json())["connected"]) == (200, False)
        await http.post("/start")
        await rig.connected(2)
        await http.post("/restart")
        await rig.connected(3)
        async with http.get("/health") as answer:
            health = await answer.json()
        assert health["reconnects"] == 2
        assert health["subscriptions"] == ["A.*", "LULD.*", "Q.*", "T.*"]
        rig.simulator.clock.resume()
        await rig.flowing()
        assert (await rig.quiesced()).total() == rig.simulator.feed.sent.total()


class Process:
    """`tapereader produce` as a process that logs all there is into a file: a pipe could fill up."""

    def __init__(self, folder: Path, simulator_port: int, broker_url: str, **environment: str) -> None:
        given = {
            "KAFKA_BOOTSTRAP_SERVERS": broker_url,
            "TAPEREADER_SOURCE": "massive",
            "TAPEREADER_MASSIVE_FEED": f"127.0.0.1:{simulator_port}",
            "TAPEREADER_MASSIVE_REST_URL": f"http://127.0.0.1:{simulator_port}",
            "TAPEREADER_MASSIVE_SECURE": "false",
            "TAPEREADER_PARTITIONS": str(PARTITIONS),
            "TAPEREADER_CONTROL_PORT": str(free_port()),
            "TAPEREADER_LOG_LEVEL": "DEBUG",
        }
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("TAPEREADER_", "MASSIVE_"))}
        self._log = folder / "produce.log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "app", "produce"], env=kept | given | environment,
                stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip

    async def ended(self) -> tuple[int, str]:
        """Exit code and log, once it has ended."""
        try:
            await eventually(lambda: self.process.poll() is not None, timeout_s=40)
        finally:
            self.process.kill()
            self.process.wait()
        return self.process.returncode, self._log.read_text()


@pytest.mark.verify
@pytest.mark.timeout(120)
async def test_the_process_ends_with_an_error_on_a_refused_key_and_keeps_it_to_itself(
    broker_url: str, tmp_path: Path
) -> None:
    """The exit code of what a new start would not mend, one sentence, and no key in a log at any level."""
    async with Simulator(symbols=5, start="10:00", api_key="the-right-one") as simulator:
        code, text = await Process(tmp_path, simulator.port, broker_url, MASSIVE_API_KEY="a-wrong-secret").ended()
    assert code == LASTING_EXIT_CODE, text
    assert "the feed refused the API key" in text
    assert "Traceback" not in text
    assert "a-wrong-secret" not in text
    assert simulator.counts["refused_logins"] == 1


@pytest.mark.verify
@pytest.mark.timeout(120)
async def test_the_process_publishes_all_it_has_when_it_is_told_to_end(broker_url: str, tmp_path: Path) -> None:
    """SIGTERM: exit code 0, nothing dropped, nothing lost, no key in the log."""
    async with Simulator(symbols=20, start="10:00", events_per_s=2000, api_key="the-right-one") as simulator:
        process = Process(
            tmp_path, simulator.port, broker_url, MASSIVE_API_KEY="the-right-one", TAPEREADER_LOG_JSON="true"
        )
        try:
            await eventually(lambda: simulator.feed.sent.total() > 1000, timeout_s=40)
        finally:
            process.process.send_signal(signal.SIGTERM)
        code, text = await process.ended()
    assert code == 0, text
    assert "the-right-one" not in text
    (stopped,) = [json.loads(line) for line in text.splitlines() if '"producer_stopped"' in line]
    assert sum(stopped["sent"].values()) > 500
    assert stopped["dropped"] == {}
    assert "events_lost" not in text


@pytest.mark.verify
@pytest.mark.timeout(120)
async def test_a_taken_control_port_is_named(broker_url: str, tmp_path: Path) -> None:
    """With the setting that changes it."""
    async with Simulator(symbols=5, start="10:00", api_key="k") as simulator:
        code, text = await Process(
            tmp_path, simulator.port, broker_url, MASSIVE_API_KEY="k", TAPEREADER_CONTROL_PORT=str(simulator.port)
        ).ended()
    assert code == 1, text
    assert "set TAPEREADER_CONTROL_PORT to another port" in text
    assert "Traceback" not in text
