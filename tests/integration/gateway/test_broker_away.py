"""A broker that goes away makes a gateway say so, and nothing else: it goes on by itself."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiokafka.errors import KafkaError

from app.kafka.admin import ensure_topics
from app.kafka.topics import ALL_TOPICS
from app.local.kafka import LocalKafka
from tests.eventually import eventually
from tests.gateway_stack import GatewayProcess, Tables

#: Readiness says that Kafka is away once a table was not polled for this long, and looks every so often.
NOTICED_S = 15.0
#: From the broker's first answer to the gateway's reading: pauses between two tries, and the tables' own answers.
BACK_S = 10.0


@pytest.fixture
async def own_gateway(own_kafka: LocalKafka, tmp_path: Path) -> AsyncIterator[GatewayProcess]:
    """A gateway on it."""
    await ensure_topics(own_kafka.bootstrap_servers, ALL_TOPICS, 2)
    process = GatewayProcess(own_kafka.bootstrap_servers, tmp_path / "gateway.log")
    await asyncio.to_thread(process.start)
    yield process
    assert process.process is not None
    assert await asyncio.to_thread(process.stop) == 0


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("how", "away_s"),
    [
        pytest.param("killed", 5, marks=pytest.mark.verify),
        pytest.param("killed", 30, marks=pytest.mark.verify),
        pytest.param("paused", 20, marks=pytest.mark.verify),
        pytest.param("killed", 60, marks=pytest.mark.verify),
        pytest.param("paused", 60, marks=pytest.mark.verify),
    ],
)
async def test_a_gateway_whose_kafka_was_away_follows_it_again(
    own_kafka: LocalKafka, own_gateway: GatewayProcess, how: str, away_s: float, say: Callable[[str], None]
) -> None:
    """It is not ready while it cannot follow, with the table's name and age, and serves what comes after."""
    await _write(own_kafka, "BEFORE")
    assert await _served(own_gateway, "BEFORE")
    since = time.monotonic()
    pid = own_kafka.process.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL if how == "killed" else signal.SIGSTOP)
    if away_s > NOTICED_S:
        await eventually(lambda: _not_ready(own_gateway), timeout_s=NOTICED_S)
    await asyncio.sleep(max(0.0, since + away_s - time.monotonic()))  # The outage itself is what is tested.
    if how == "killed":
        await asyncio.to_thread(own_kafka.stop)
        await asyncio.to_thread(own_kafka.start)
        await asyncio.to_thread(own_kafka.wait_ready)
    else:
        os.kill(pid, signal.SIGCONT)
    await _write(own_kafka, "AFTER")
    back = time.monotonic()
    assert await _served(own_gateway, "AFTER"), (await _readiness(own_gateway)).text
    await eventually(lambda: _ready(own_gateway), timeout_s=BACK_S)
    say(f"{how} for {away_s} s: served {time.monotonic() - back:.1f} s after Kafka took a record")


async def _write(broker: LocalKafka, symbol: str) -> None:
    async def written() -> bool:
        try:
            async with Tables(broker.bootstrap_servers) as tables:
                await tables.quote(symbol)
        except KafkaError:
            return False
        return True

    await eventually(written, timeout_s=30)


async def _served(gateway: GatewayProcess, symbol: str) -> bool:
    async with httpx.AsyncClient(base_url=gateway.url) as http:

        async def there() -> bool:
            return (await http.get(f"/api/quotes/{symbol}")).status_code == 200

        try:
            return await eventually(there, timeout_s=BACK_S)
        except AssertionError:
            return False


async def _readiness(gateway: GatewayProcess) -> httpx.Response:
    async with httpx.AsyncClient(base_url=gateway.url) as http:
        return await http.get("/readyz")


async def _ready(gateway: GatewayProcess) -> bool:
    return (await _readiness(gateway)).status_code == 200


async def _not_ready(gateway: GatewayProcess) -> Any:
    answer = await _readiness(gateway)
    return answer.status_code == 503 and answer.json()["reasons"]
