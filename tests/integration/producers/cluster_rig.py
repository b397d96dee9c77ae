"""The platform on three brokers: a producer, two workers and a gateway, and what all of it must be afterwards."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.kafka import topics
from app.kafka.admin import ensure_topics
from tests.consistency.harness import raw_table
from tests.eventually import eventually
from tests.gateway_stack import GatewayProcess
from tests.integration.agents.workers import Workers
from tests.integration.producers.live_rig import PARTITIONS, Rig, in_order_and_once, live_rig, sent_events
from tests.kafka_cluster import NODES, KafkaCluster
from tests.recomputed import Recomputed, differing, plain


@asynccontextmanager
async def market_on(
    cluster: KafkaCluster, redis_url: str, tmp_path: Path
) -> AsyncIterator[tuple[Rig, Workers, GatewayProcess]]:
    """A market from shortly before its open, since bands are told then, on the platform; its first tables are there."""
    bootstrap = cluster.bootstrap_servers
    await ensure_topics(bootstrap, topics.ALL_TOPICS, PARTITIONS, NODES, 2)
    async with live_rig(
        bootstrap, start="09:29:45", events_per_s=1000, silence_timeout_s=180, producer_buffer_events=2_000_000
    ) as rig, _platform(bootstrap, redis_url, rig, tmp_path) as (workers, gateway):  # fmt: skip
        await rig.flowing(1000)
        await eventually(lambda: _folded(bootstrap), timeout_s=90, interval_s=1)
        yield rig, workers, gateway


@asynccontextmanager
async def _platform(
    bootstrap: str, redis_url: str, rig: Rig, tmp_path: Path
) -> AsyncIterator[tuple[Workers, GatewayProcess]]:
    """Two workers that know the rig's reference data, and a gateway."""
    workers = Workers(
        bootstrap, tmp_path, session_timeout_ms="6000", source="simulator",
        simulator_port=str(rig.simulator.port), redis_url=redis_url,
    )  # fmt: skip
    gateway = GatewayProcess(bootstrap, tmp_path / "gateway.log", redis_url=redis_url)
    try:
        workers.start()
        workers.start()
        await asyncio.to_thread(gateway.start)
        yield workers, gateway
        assert await asyncio.to_thread(gateway.stop) == 0
    finally:
        workers.stop()
        if gateway.process is not None and gateway.process.poll() is None:
            gateway.process.kill()
            gateway.process.wait(10)


class Follower:
    """A client that follows all best bids and offers of a gateway over one stream, which is never broken."""

    def __init__(self, gateway: GatewayProcess) -> None:
        self._gateway = gateway
        self._task: asyncio.Task[None] | None = None
        self.events = 0

    async def __aenter__(self) -> "Follower":
        self._task = asyncio.create_task(self._follow())
        await eventually(lambda: self.events > 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        ended = self._task.done()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        assert not ended, "the gateway has ended the stream"

    async def _follow(self) -> None:
        async with (
            httpx.AsyncClient(base_url=self._gateway.url, timeout=None) as http,
            http.stream("GET", "/api/stream", params={"feed": "nbbo:*"}) as response,
        ):
            assert response.status_code == 200
            async for line in response.aiter_lines():
                self.events += line.startswith("data: ")


class Gaps:
    """The longest times in which the producer, the workers' best bids and offers, and a client stood still."""

    def __init__(self, cluster: KafkaCluster, rig: Rig, follower: Follower) -> None:
        self._counts: dict[str, Callable[[], int]] = {
            "the producer": lambda: rig.producer.publisher.sent.total(),
            "the workers' table of best bids and offers": lambda: _size(cluster),
            "a client of the gateway": lambda: follower.events,
        }
        self._tasks: list[asyncio.Task[float]] = []

    def __enter__(self) -> "Gaps":
        self._tasks = [asyncio.create_task(_longest_gap(counted)) for counted in self._counts.values()]
        return self

    def __exit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()

    def now(self) -> dict[str, int]:
        """The counts as they are now."""
        return {name: counted() for name, counted in self._counts.items()}

    async def found(self) -> str:
        """What the gaps were, in words; after the context."""
        return ", ".join(
            [f"of {name} {await task:.1f} s" for name, task in zip(self._counts, self._tasks, strict=True)]
        )


def _size(cluster: KafkaCluster) -> int:
    """Bytes of the logs of the best bids and offers on all nodes."""
    return sum(
        log.stat().st_size
        for node in cluster.nodes.values()
        for log in (node.data_dir / "data").glob(f"{topics.NBBO.name}-*/*.log")
    )


async def _longest_gap(counted: Callable[[], int]) -> float:
    """The longest time (s) in which a count did not change, until cancelled."""
    longest_s, seen, since_s = 0.0, -1, time.monotonic()
    try:
        while True:
            now_s, found = time.monotonic(), counted()
            if found != seen:
                seen, since_s = found, now_s
            longest_s = max(longest_s, now_s - since_s)
            await asyncio.sleep(0.1)
    except asyncio.CancelledError:
        return longest_s


async def _folded(bootstrap: str) -> bool:
    """Whether the workers are under way: rows, tapes and reference data are there."""
    return all([await raw_table(bootstrap, spec) for spec in (topics.NBBO, topics.TRADE_TAPE, topics.MARKET_REFERENCE)])


async def everything_is_exact(rig: Rig, gateway: GatewayProcess, bootstrap: str, say: Callable[[str], None]) -> None:
    """Stop the market: its events are there once, the tables are those of its events, and the gateway serves them."""

    def all_sent() -> bool:
        return sent_events(rig.producer.publisher) == rig.producer.received == +rig.simulator.feed.sent

    await rig.settled(all_sent, 120)
    await _events_are_there_once(rig)
    assert rig.producer.connections == 1
    expected = await Recomputed.of(bootstrap, PARTITIONS)
    await _tables_are(expected, bootstrap, say)
    await _served(expected, gateway)


async def _events_are_there_once(rig: Rig) -> None:
    """The simulator's counts are the topics', and no sequence number is missing or twice."""
    written = await rig.written()
    counts = {name: written[name] for name in rig.events_sent()}
    assert counts == dict(rig.events_sent())
    assert in_order_and_once(await rig.records(120.0))


async def _tables_are(expected: Recomputed, bootstrap: str, say: Callable[[str], None]) -> None:
    """Each table is what a plain fold of the raw topics gives, once the workers have read them."""
    state: dict[str, Any] = {}

    async def exact() -> bool:
        state["differ"] = await expected.differences(bootstrap)
        return not state["differ"]

    try:
        await eventually(exact, timeout_s=90, interval_s=1)
    except AssertionError:
        pytest.fail(f"rows that differ: {str(state['differ'])[:20_000]}")
    assert all((expected.quotes, expected.ranges, expected.nbbo, expected.halts, expected.references))
    assert expected.refused == 0
    say(f"exact: {expected.summary()}")


async def _served(expected: Recomputed, gateway: GatewayProcess) -> None:
    """The gateway's copies are these tables, too."""
    wanted = {
        "quotes": plain(expected.quotes), "nbbo": plain(expected.nbbo), "halts": plain(expected.halts),
    }  # fmt: skip
    state: dict[str, Any] = {}

    async def exact() -> bool:
        async with httpx.AsyncClient(base_url=gateway.url, timeout=20) as http:
            for name, rows in wanted.items():
                found = (await http.get(f"/api/{name}", params={"limit": 50_000})).json()[name]
                state[name] = differing({row["symbol"]: row for row in found}, rows)
            for board, symbols in expected.boards().items():
                entries = (await http.get(f"/api/leaderboards/{board}")).json()["entries"]
                state[board] = differing({board: [row["symbol"] for row in entries]}, {board: symbols})
        return not any(state.values())

    try:
        await eventually(exact, timeout_s=30, interval_s=1)
    except AssertionError:
        pytest.fail(f"rows that the gateway serves and should not: {state}")
