"""What operators see: by REST on a real broker, and on their page in a real browser."""

import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import psutil
import pytest
from playwright.async_api import Browser, expect

from app.kafka.topics import DEAD_LETTERS
from tests.eventually import eventually
from tests.gateway_stack import GatewayProcess, Tables

pytestmark = pytest.mark.verify

CONTROL = {"X-Tapereader-Control": "1"}


async def test_feeds_clients_lag_and_dead_letters(
    own_gateway: GatewayProcess, page_tables: Tables, unique: str
) -> None:
    letter = {"topic": f"massive.{unique}", "partition": 2, "offset": 7, "reason": "ValueError: no symbol"}
    await page_tables.put(DEAD_LETTERS, "AAPL", letter)
    async with (
        httpx.AsyncClient(base_url=own_gateway.url, timeout=30) as http,
        http.stream("GET", "/api/stream?feed=quote:AAPL&limit=3&filter=") as refused,
    ):
        assert refused.status_code == 400
        async with http.stream("GET", "/api/stream?feed=quote:AAPL&limit=3") as followed:
            assert followed.status_code == 200
            lines = followed.aiter_lines()
            assert await anext(lines) == "retry: 1000"
            (feed,) = (await http.get("/api/operator/feeds")).json()["feeds"]
            assert (feed["feed"], feed["clients"]) == ("quote:AAPL", 1)
            assert feed["options"] == {"limit": 3, "envelope": True, "encoding": "event-stream"}
            (client,) = (await http.get("/api/operator/clients")).json()["clients"]
            assert (client["subject"], client["feeds"]) == ("anyone", 1)
        lag = (await http.get("/api/operator/lag")).json()
        assert lag["group"] == "tapereader"
        letters = (await http.get("/api/operator/dead-letters?limit=1000")).json()["dead_letters"]
        (found,) = [each for each in letters if each.get("topic") == f"massive.{unique}"]
        assert {name: found[name] for name in letter} == letter
        assert found["key"] == "AAPL"
        left_out = (await http.get("/api/operator/left-out")).json()
        assert {"topic": f"massive.{unique}", "reason": "ValueError", "records": 1} in left_out["refused"]
        assert left_out["late"] == {}, "no `up` runs beside this gateway"


async def test_a_worker_is_asked_to_end_and_nothing_else_is(
    built_page: None, page_topics: None, broker_url: str, tmp_path: Path
) -> None:
    worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    me = psutil.Process()
    processes = [{"name": name, "pid": worker.pid, "alive": True, "restarts": 0} for name in ("worker-1", "kafka")]
    state = {"pid": os.getpid(), "started_at": me.create_time(), "processes": processes}
    (tmp_path / "up.json").write_text(json.dumps(state))
    gateway = GatewayProcess(broker_url, tmp_path / "gateway.log", data_dir=tmp_path).start()
    try:
        async with httpx.AsyncClient(base_url=gateway.url, headers=CONTROL, timeout=30) as http:
            assert (await http.get("/api/operator/processes")).json()["running"] is True
            for name in ("kafka", "worker-2"):
                assert (await http.post(f"/api/operator/workers/{name}/restart")).status_code == 404
            assert worker.poll() is None
            assert (await http.post("/api/operator/workers/worker-1/restart")).json()["restarting"] is True

        async def ended() -> bool:
            return worker.poll() is not None

        await eventually(ended)
    finally:
        worker.kill()
        worker.wait()
        assert gateway.stop() == 0


async def test_the_operators_page_shows_it(chromium: Browser, own_gateway: GatewayProcess, page_tables: Tables) -> None:
    letter = {"topic": "massive.trades", "partition": 0, "offset": 1, "reason": "bad"}
    await page_tables.put(DEAD_LETTERS, "AAPL", letter)
    page = await chromium.new_page(viewport={"width": 1200, "height": 900})
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    await page.goto(f"{own_gateway.url}/operator")
    for title in ("Processes", "Lag", "Clients of this gateway process", "Dead letters"):
        await expect(page.get_by_role("heading", name=title)).to_be_visible(timeout=20_000)
    await expect(page.get_by_role("region", name="Dead letters")).to_contain_text("massive.trades[0]@1", timeout=20_000)
    left_out = page.get_by_role("region", name="Left out of the tables")
    await expect(left_out).to_contain_text("refused: bad", timeout=20_000)
    await expect(page.get_by_role("region", name="subscriptions")).to_contain_text("does not answer", timeout=20_000)
    assert faults == []


async def test_without_the_role_the_page_asks_for_a_key(
    chromium: Browser, built_page: None, page_topics: None, broker_url: str, tmp_path: Path
) -> None:
    keys = "viewer:the-viewers-own-key,operator:the-operators-own-key"
    gateway = GatewayProcess(broker_url, tmp_path / "gateway.log", gateway_api_keys=keys).start()
    try:
        page = await chromium.new_page()
        await page.goto(f"{gateway.url}/operator")
        await page.get_by_label("API key").fill("the-viewers-own-key")
        await page.get_by_role("button", name="Use the key").click()
        await expect(page.get_by_text("This page takes the role operator.")).to_be_visible(timeout=20_000)
        await page.get_by_label("API key").fill("the-operators-own-key")
        await page.get_by_role("button", name="Use the key").click()
        await expect(page.get_by_role("heading", name="Processes")).to_be_visible(timeout=20_000)
    finally:
        assert gateway.stop() == 0
