"""Reference data at a real gateway: the simulator's REST behind it, its Redis stopped and started."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.kafka import topics
from app.kafka.admin import ensure_topics
from app.local.redis import LocalRedis
from producers.simulator.server import Simulator
from tests.conftest import free_port
from tests.eventually import eventually
from tests.gateway_stack import GatewayProcess
from tests.integration.reference.cache_world import requests, simulator

pytestmark = pytest.mark.verify

KEY = "a key for readers"


class Stack:
    """A gateway with a Redis and a simulated market of its own."""

    def __init__(self, redis: LocalRedis, market: Simulator, gateway: GatewayProcess) -> None:
        self.redis, self.market, self.gateway = redis, market, gateway

    async def get(self, path: str, key: str | None = KEY) -> httpx.Response:
        headers = {} if key is None else {"X-API-Key": key}
        async with httpx.AsyncClient(base_url=self.gateway.url, headers=headers, timeout=30) as http:
            return await http.get(path)


@pytest.fixture
async def stack(broker_url: str, tmp_path: Path) -> AsyncIterator[Stack]:
    await ensure_topics(broker_url, topics.ALL_TOPICS, 4)
    redis = LocalRedis(tmp_path / "redis", free_port())
    redis.start()
    try:
        await asyncio.to_thread(redis.wait_ready)
        async with simulator() as market:
            gateway = GatewayProcess(
                broker_url, tmp_path / "gateway.log", gateway_api_key=KEY, redis_url=redis.url, source="massive",
                massive_api_key="simulator", massive_rest_url=market.rest_url, cache_memory_ttl_s=0.2,
            )  # fmt: skip
            await asyncio.to_thread(gateway.start)
            try:
                yield Stack(redis, market, gateway)
            finally:
                assert await asyncio.to_thread(gateway.stop) == 0
    finally:
        redis.stop()


def problem(response: httpx.Response) -> Any:
    assert response.headers["content-type"] == "application/problem+json"
    return response.json()


async def test_reference_data_is_served_and_without_redis_what_is_known_and_a_clear_503(stack: Stack) -> None:
    known, other, third = stack.market.model.universe.tickers[:3]
    snapshot = (await stack.get(f"/api/snapshot/{known}")).json()
    assert (snapshot["state"], snapshot["value"]["ticker"]) == ("fresh", known)
    average = (await stack.get(f"/api/avg-volume/{known}")).json()
    assert average["value"] > 0
    missing = await stack.get("/api/float/NOSUCH")
    assert missing.status_code == 404
    assert problem(missing)["type"] == "urn:tapereader:problem:unknown-ticker"
    assert (await stack.get("/api/cache/stats")).json()["process"]["counts"]["rest_requests"] >= 3
    for path in ("snapshot", "avg-volume", "float", "cache"):
        assert (await stack.get(f"/api/{path}/stats", key=None)).status_code == 401

    await asyncio.to_thread(stack.redis.stop)

    async def stale() -> bool:
        answer = (await stack.get(f"/api/avg-volume/{known}")).json()
        assert answer["value"] == average["value"]
        return bool(answer["state"] == "stale")

    await eventually(stale)
    asked = requests(stack.market)
    refused = await stack.get(f"/api/snapshot/{other}")
    assert refused.status_code == 503
    assert "Redis is down" in problem(refused)["detail"]
    assert int(refused.headers["Retry-After"]) > 0
    assert requests(stack.market) == asked
    assert (await stack.get("/api/cache/stats")).json()["fleet"] is None
    assert (await stack.get("/readyz")).status_code == 200, "the tables are served all the same"

    stack.redis.start()
    await asyncio.to_thread(stack.redis.wait_ready)

    async def fresh() -> bool:
        return (await stack.get(f"/api/snapshot/{third}")).status_code == 200

    await eventually(fresh)
    assert (await stack.get(f"/api/snapshot/{other}")).json()["state"] == "fresh"


async def test_without_a_key_for_rest_the_problem_names_the_setting(broker_url: str, tmp_path: Path) -> None:
    await ensure_topics(broker_url, topics.ALL_TOPICS, 4)
    gateway = GatewayProcess(broker_url, tmp_path / "gateway.log", source="massive", massive_api_key="")
    await asyncio.to_thread(gateway.start)
    try:
        async with httpx.AsyncClient(base_url=gateway.url) as http:
            refused = await http.get("/api/snapshot/AAPL")
            assert refused.status_code == 503
            assert "MASSIVE_API_KEY" in problem(refused)["detail"]
            assert (await http.get("/api/cache/stats")).status_code == 503
    finally:
        assert await asyncio.to_thread(gateway.stop) == 0
