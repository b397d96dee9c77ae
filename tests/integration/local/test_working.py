"""A worker counts as working only when it answers and what waits moves, wherever one looks."""

import asyncio
import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer

from app.kafka.admin import ensure_topics
from app.kafka.topics import AGGREGATES, ALL_TOPICS
from tests.eventually import eventually
from tests.integration.agents.workers import own_broker
from tests.integration.local.platform_run import ROOT, Platform, platform_run
from tests.running_up import RunningUp, command, running

pytestmark = [pytest.mark.verify, pytest.mark.timeout(300), pytest.mark.asyncio(loop_scope="module")]

#: What stands still is seen everywhere within this time; a machine under load is given some more.
SEEN_WITHIN_S = 30.0
START_MS = 1_795_186_800_000
#: Seconds of the aggregates, each later than the one before, over all that is sent.
_SECONDS = itertools.count()


async def events(bootstrap: str, count: int = 20) -> None:
    """Append aggregates of some symbols, as the producer does."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    await producer.start()
    try:
        for number in range(count):
            symbol, start_ms = f"S{number % 10}", START_MS + next(_SECONDS) * 1000
            event = {
                "ev": "A", "sym": symbol, "v": 100, "av": 1000, "op": 10.0, "vw": 10.0, "o": 10.0, "c": 10.0, "h": 10.0,
                "l": 10.0, "a": 10.0, "z": 50, "s": start_ms, "e": start_ms + 1000,
            }  # fmt: skip
            await producer.send(AGGREGATES.name, json.dumps(event).encode(), symbol.encode())
        await producer.flush()
    finally:
        await producer.stop()


async def get(url: str) -> Any:
    """A JSON answer, whatever its status; None where there is none."""
    async with httpx.AsyncClient(timeout=5.0, trust_env=False) as http:
        try:
            return (await http.get(url)).json()
        except (httpx.HTTPError, ValueError):
            return None


async def told(up: RunningUp) -> str:
    """What `tapereader status` prints."""
    return (await asyncio.to_thread(command, "status", "--data-dir", str(up.data_dir))).stdout


def worker_of(up: RunningUp) -> dict[str, Any]:
    state = up.state()
    assert state is not None
    (found,) = [each for each in state["processes"] if each["name"] == "worker-1"]
    return {**found, "ready": state["ready"]}


async def test_a_stopped_process_is_seen_by_up_status_the_page_s_status_and_the_operator(tmp_path: Path) -> None:
    """SIGSTOP: it is alive for the kernel and answers nobody; after SIGCONT all is well again."""
    async with running(tmp_path / "data") as up:
        url = f"http://127.0.0.1:{up.http_port}"

        async def all_well() -> bool:
            status = await get(f"{url}/api/status")
            return bool(worker_of(up)["ready"] and worker_of(up)["amiss"] is None and status and status["ready"])

        await eventually(all_well, timeout_s=60)
        process = psutil.Process(worker_of(up)["pid"])
        process.suspend()
        try:
            await eventually(lambda: "has not answered" in (worker_of(up)["amiss"] or ""), timeout_s=SEEN_WITHIN_S)
            assert worker_of(up)["ready"] is False
            assert worker_of(up)["alive"] is True

            async def page_says() -> bool:
                status = await get(f"{url}/api/status")
                return any("worker-1: has not answered" in reason for reason in status["reasons"])

            await eventually(page_says, timeout_s=SEEN_WITHIN_S)
            assert (await get(f"{url}/api/status"))["ready"] is False
            # The gateway itself serves what it has: a load balancer goes on sending clients.
            assert (await get(f"{url}/readyz"))["ready"] is True
            (seen,) = [
                each for each in (await get(f"{url}/api/operator/processes"))["processes"] if each["name"] == "worker-1"
            ]
            assert "has not answered" in seen["amiss"]
            assert "does not answer" in await told(up)
            # Records that come now wait: the brokers' own word says so, too.
            await events(f"127.0.0.1:{up.kafka_port}")

            async def lag_stands() -> bool:
                return any(AGGREGATES.name in each for each in (await get(f"{url}/api/operator/lag"))["standing"])

            await eventually(lag_stands, timeout_s=SEEN_WITHIN_S)

            def up_says() -> bool:
                return any(AGGREGATES.name in each for each in (up.state() or {})["standing"])

            await eventually(up_says, timeout_s=SEEN_WITHIN_S)
            assert f"{AGGREGATES.name}[" in await told(up)
        finally:
            process.resume()
        await eventually(all_well, timeout_s=90)
        assert up.process is not None
        up.process.send_signal(signal.SIGINT)
        printed = up.finish()
        assert "worker-1: has not answered" in printed
        assert "working 3/4" in printed


@pytest_asyncio.fixture(loop_scope="module")
async def platform(tmp_path_factory: pytest.TempPathFactory, redis_url: str) -> AsyncIterator[Platform]:
    """A broker and a gateway, new for each test; `up` has no part in it, as in a cluster."""
    directory = tmp_path_factory.mktemp("standing")
    with own_broker(directory / "kafka") as bootstrap:
        await ensure_topics(bootstrap, ALL_TOPICS, 2)
        settings = {
            "partitions": "2",
            "source": "none",
            "massive_rest_url": "http://127.0.0.1:1",
            "data_dir": str(directory / "data"),
        }
        with platform_run(bootstrap, redis_url, directory, **settings) as found:
            found.start("gateway", "gateway")
            await found.ready("gateway")
            yield found


def start_standing(platform: Platform, mode: str, file: Path) -> None:
    """Start a worker that stands still once the file is there."""
    with (platform.logs / f"{mode}.log").open("wb") as log:
        platform.processes[mode] = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.local.standing_worker", mode, str(file)],
            stdout=log, stderr=log, cwd=ROOT, env=platform.environment,
        )  # fmt: skip


@pytest.mark.parametrize("mode", ["commit", "loop", "fold"])
async def test_a_worker_that_stands_in_a_commit_or_a_fold_is_seen_from_the_brokers_and_by_its_probes(
    platform: Platform, tmp_path: Path, mode: str
) -> None:
    bootstrap, gateway = platform.environment["KAFKA_BOOTSTRAP_SERVERS"], platform.urls["gateway"]
    file = tmp_path / "stand"
    start_standing(platform, mode, file)
    process = platform.processes[mode]
    try:
        await platform.ready(mode)
        await events(bootstrap)

        async def ready() -> bool:
            return bool((await get(f"{gateway}/api/status"))["ready"])

        async def moving() -> bool:
            health = await get(f"{platform.urls[mode]}/healthz")
            return bool(health and health["lag"] == 0 and health["status"] == "ok" and await ready())

        await eventually(moving, timeout_s=60)
        file.touch()
        await events(bootstrap)

        async def stands() -> bool:
            status = await get(f"{gateway}/api/status")
            return not status["ready"] and any("nothing has moved" in reason for reason in status["reasons"])

        await eventually(stands, timeout_s=SEEN_WITHIN_S)
        if mode == "loop":
            # The liveness probe has no answer.
            assert await get(f"{platform.urls[mode]}/healthz") is None
        elif mode == "fold":

            async def probe_fails() -> bool:
                answer = await platform.get(mode, "/healthz")
                said = answer.json()
                return answer.status_code == 503 and any("nothing has moved" in fault for fault in said["faults"])

            await eventually(probe_fails, timeout_s=SEEN_WITHIN_S)
            assert (await platform.get(mode, "/readyz")).status_code == 503
        else:
            # Told to stop it stands in its last commit: it is not ready, though it answers, until the watchdog ends it.
            os.kill(process.pid, signal.SIGTERM)

            async def stopping() -> bool:
                said = await get(f"{platform.urls[mode]}/readyz")
                return said is not None and said["reasons"] == ["the worker is stopping"]

            await eventually(stopping, timeout_s=SEEN_WITHIN_S)
        file.unlink()
        if mode != "commit":
            await eventually(moving, timeout_s=60)
    finally:
        file.unlink(missing_ok=True)
        process.kill()
        process.wait(10)
        del platform.processes[mode]
        platform.urls.pop(mode, None)
