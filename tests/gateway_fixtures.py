"""A gateway as a process for a module of tests, who writes its tables, and who asks it."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect

from app.kafka.admin import ensure_topics
from app.kafka.topics import ALL_TOPICS
from tests.eventually import eventually
from tests.gateway_stack import GatewayProcess, Tables

SLOW_S = 2


@pytest.fixture(scope="module")
def gateway_broker(broker_url: str) -> str:
    asyncio.run(ensure_topics(broker_url, ALL_TOPICS, 4))
    return broker_url


@pytest.fixture(scope="module")
def gateway(gateway_broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    process = GatewayProcess(
        gateway_broker, tmp_path_factory.mktemp("gateway") / "gateway.log",
        gateway_slow_client_s=SLOW_S, gateway_max_subscriptions=50, gateway_max_clients=60,
    ).start()  # fmt: skip
    yield process
    assert process.stop() == 0


@pytest.fixture
async def tables(gateway_broker: str) -> AsyncIterator[Tables]:
    async with Tables(gateway_broker) as writer:
        yield writer


@pytest.fixture
async def client(gateway: GatewayProcess) -> AsyncIterator[ClientConnection]:
    async with connect(gateway.ws_url) as connection:
        yield connection


async def ask(client: ClientConnection, message: Any) -> Any:
    """Send a message and read the next one."""
    await client.send(message if isinstance(message, (str, bytes)) else json.dumps(message))
    return await following(client)


async def following(client: ClientConnection) -> Any:
    async with asyncio.timeout(15):
        return json.loads(await client.recv())


async def get(gateway: GatewayProcess, path: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=gateway.url) as http:
        return await http.get(path)


async def until_served(gateway: GatewayProcess, path: str) -> httpx.Response:
    async def served() -> httpx.Response | None:
        response = await get(gateway, path)
        return response if response.status_code == 200 else None

    found = await eventually(served)
    assert found is not None
    return found
