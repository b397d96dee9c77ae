"""Several gateway processes behind one port."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect

from app.kafka.admin import ensure_topics
from app.kafka.topics import ALL_TOPICS
from tests.eventually import eventually
from tests.gateway_stack import GatewayProcess, Tables

pytestmark = pytest.mark.verify

SECRET = "a secret of sessions that all gateways of a port share"


@pytest.fixture(scope="module")
def gateways(broker_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[GatewayProcess]]:
    asyncio.run(ensure_topics(broker_url, ALL_TOPICS, 4))
    logs = tmp_path_factory.mktemp("several")
    settings: dict[str, Any] = {"gateways": 2, "gateway_session_secret": SECRET}
    first = GatewayProcess(broker_url, logs / "first.log", **settings).start()
    second = GatewayProcess(broker_url, logs / "second.log", first.port, **settings).start()
    yield [first, second]
    for process in (first, second):
        if process.process is not None and process.process.poll() is None:
            assert process.stop() == 0


@pytest.fixture
async def tables(broker_url: str) -> AsyncIterator[Tables]:
    async with Tables(broker_url) as writer:
        yield writer


async def followed(gateways: list[GatewayProcess], symbol: str, **position: Any) -> tuple[ClientConnection, Any]:
    """A new client, and the state that it begins with."""
    client = await connect(gateways[0].ws_url)
    request = {"action": "subscribe", "feed": f"quote:{symbol}", "mode": "delta", **position}
    await client.send(json.dumps(request))
    async with asyncio.timeout(15):
        assert json.loads(await client.recv())["status"] == "subscribed"
        return client, json.loads(await client.recv())


async def test_clients_are_dealt_out_and_one_goes_on_when_the_other_ends(
    gateways: list[GatewayProcess], tables: Tables, unique: str
) -> None:
    symbol = unique.upper()
    await tables.quote(symbol, close=1.0)
    clients: dict[str, tuple[ClientConnection, Any]] = {}

    async def served_by_both() -> bool:
        client, first = await followed(gateways, symbol)
        process = first["epoch"].split("-")[0]
        if process in clients:
            await client.close()
        else:
            clients[process] = (client, first)
        return len(clients) == 2

    await eventually(served_by_both)
    await tables.quote(symbol, close=2.0)
    for client, _ in clients.values():
        async with asyncio.timeout(15):
            (row,) = json.loads(await client.recv())["delta"]["upsert"]
        assert (row["symbol"], row["close"]) == (symbol, 2.0)
    assert gateways[1].stop() == 0
    positions = [{"epoch": first["epoch"], "offset": first["offset"]} for _, first in clients.values()]
    answers = []
    for position in positions:
        client, state = await followed(gateways, symbol, **position)
        answers.append(state["recovered"])
        row = state["delta"]["upsert"][0] if state["recovered"] else state["snapshot"][0]
        assert row["close"] == 2.0
        await client.close()
    assert sorted(answers) == [False, True], "what another process counted is no position here: the state comes anew"
    for client, _ in clients.values():
        await client.close()
