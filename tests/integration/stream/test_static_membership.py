"""A worker with a lasting name (`TAPEREADER_GROUP_INSTANCE_ID`) keeps its partitions over a restart."""

import json
import signal
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from app.kafka.admin import ensure_topics
from app.kafka.topics import AGGREGATES, ALL_TOPICS, MARKET_QUOTES
from tests.consistency.harness import table
from tests.eventually import eventually
from tests.gateway_stack import TEN_ET_MS
from tests.integration.agents.workers import PARTITIONS, Workers, own_broker

pytestmark = pytest.mark.verify

SESSION_TIMEOUT_MS = 45_000
#: What aiokafka says when the group's other members have to join again.
REBALANCE = "because it is rebalancing"
SYMBOLS = [f"S{number}" for number in range(40)]


async def members(bootstrap: str) -> dict[str, str]:
    """The name of each member of a group that stands still, and the id that it has at present."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        await admin.start()
        described = (await admin.describe_consumer_groups(["tapereader"]))[0].groups[0]
    except KafkaError:
        # The broker has not chosen the group's coordinator yet.
        return {}
    finally:
        await admin.close()
    state, found = described[2], described[5]
    # A static member's id begins with its name.
    return {member[0].split("-", 1)[0]: member[0] for member in found} if state == "Stable" else {}


async def send(bootstrap: str, round_number: int) -> None:
    """An aggregate of each symbol, which are on all partitions."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    await producer.start()
    try:
        start_ms = TEN_ET_MS + 1000 * round_number
        for symbol in SYMBOLS:
            event = {
                "ev": "A", "sym": symbol, "v": 10, "av": 10 * round_number, "op": 10.0, "vw": 10.0, "o": 10.0,
                "c": 10.0, "h": 10.0, "l": 10.0, "a": 10.0, "z": 5, "s": start_ms, "e": start_ms + 1000,
            }  # fmt: skip
            await producer.send(AGGREGATES.name, json.dumps(event).encode(), symbol.encode())
        await producer.flush()
    finally:
        await producer.stop()


@pytest.mark.timeout(240)
async def test_a_restart_within_the_time_out_is_no_rebalance(tmp_path: Path, redis_url: str) -> None:
    with own_broker(tmp_path / "kafka") as bootstrap:
        await ensure_topics(bootstrap, ALL_TOPICS, PARTITIONS)
        workers = Workers(bootstrap, tmp_path, session_timeout_ms=str(SESSION_TIMEOUT_MS))
        workers.environment["REDIS_URL"] = redis_url

        def start(name: str) -> None:
            workers.environment["TAPEREADER_GROUP_INSTANCE_ID"] = name
            workers.start()

        async def names(*expected: str) -> dict[str, str]:
            async def joined() -> dict[str, str]:
                found = await members(bootstrap)
                return found if set(found) == set(expected) else {}

            return await eventually(joined, timeout_s=60, interval_s=0.5)

        async def counted(round_number: int) -> None:
            async def all_are() -> bool:
                rows = await table(bootstrap, MARKET_QUOTES)
                return {rows.get(symbol, {}).get("accumulated_volume") for symbol in SYMBOLS} == {10 * round_number}

            await eventually(all_are, timeout_s=60, interval_s=0.5)

        def rebalances_of_first() -> int:
            return (tmp_path / "worker-1.log").read_text(errors="replace").count(REBALANCE)

        try:
            start("first")
            await names("first")
            start("second")
            before = await names("first", "second")
            assert rebalances_of_first() > 0, "a new member has to be noticed, or the rest shows nothing"
            await send(bootstrap, 1)
            await counted(1)
            noticed = rebalances_of_first()

            assert workers.end(1, signal.SIGTERM) == 0
            assert await names("first", "second") == before, "it did not keep its place while it was away"
            start("second")

            async def is_back() -> bool:
                found = await members(bootstrap)
                return found.get("second", before["second"]) != before["second"]

            await eventually(is_back, timeout_s=40, interval_s=0.5)
            await send(bootstrap, 2)
            await counted(2)
            assert (await names("first", "second"))["first"] == before["first"]
            assert rebalances_of_first() == noticed
        finally:
            workers.stop()
