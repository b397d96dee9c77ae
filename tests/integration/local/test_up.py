"""`tapereader up` as a user runs it: a process of its own, with a Kafka and a Redis of its own."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from aiokafka.admin import AIOKafkaAdminClient

from app.kafka.admin import ensure_topics
from app.kafka.topics import ALL_TOPICS
from app.local.kafka import LocalKafka
from app.local.processes import ManagedProcess
from app.local.state import read_state
from tests.conftest import free_port
from tests.eventually import eventually
from tests.running_up import PARTITIONS, command, running

pytestmark = pytest.mark.timeout(180)


async def topics_of(bootstrap_servers: str) -> dict[str, int]:
    """The topics of a broker with the number of their partitions."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    try:
        return {topic["topic"]: len(topic["partitions"]) for topic in await admin.describe_topics()}
    finally:
        await admin.close()


async def test_up_starts_everything_and_ctrl_c_ends_all_of_it(tmp_path: Path) -> None:
    async with running(tmp_path / "data") as up:
        found = await topics_of(f"127.0.0.1:{up.kafka_port}")
        assert {spec.name: 1 if spec.single_partition else PARTITIONS for spec in ALL_TOPICS}.items() <= found.items()
        async with httpx.AsyncClient(trust_env=False) as client:
            assert (await client.get(f"http://127.0.0.1:{up.http_port}/healthz")).status_code == 200

        state = up.state()
        assert state is not None
        assert {process["name"] for process in state["processes"]} == {"kafka", "redis", "gateway", "worker-1"}
        assert {process["pid"] for process in state["processes"]} <= {process.pid for process in up.family()}

        assert up.process is not None
        family = up.family()
        up.process.send_signal(signal.SIGINT)
        printed = up.finish()

        assert up.process.returncode == 0
        assert f"http://127.0.0.1:{up.http_port}/" in printed
        assert not [process for process in family if process.is_running()]
        assert read_state(up.data_dir) is None
        shared = [path for path in up.data_dir.rglob("*") if path.lstat().st_mode & 0o077 and not path.is_symlink()]
        assert not shared, "others may read what `up` wrote"


@pytest.mark.verify
async def test_the_page_is_served_before_kafka_answers_and_the_others_wait_for_their_topics(tmp_path: Path) -> None:
    """Kafka comes 3 s after them: none of them ends, and all become ready."""
    bootstrap_port, data_dir = free_port(side_by_side=2), tmp_path / "data"
    kafka = LocalKafka(tmp_path / "kafka", bootstrap_port, bootstrap_port + 1)
    kafka.prepare()
    environment = {"KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers, "TAPEREADER_KAFKA_WAIT_S": "100"}
    ports = {"gateway": free_port(), "worker": free_port(), "produce": free_port()}
    environment |= {
        "TAPEREADER_HTTP_PORT": str(ports["gateway"]), "TAPEREADER_WORKER_HTTP_PORT": str(ports["worker"]),
        "TAPEREADER_CONTROL_PORT": str(ports["produce"]), "TAPEREADER_PARTITIONS": "2",
    }  # fmt: skip
    processes = {
        name: ManagedProcess(name, [sys.executable, "-m", "app", name], data_dir / f"{name}.log", environment)
        for name in ports
    }
    async with httpx.AsyncClient(timeout=2.0, trust_env=False) as client:

        async def status_of(name: str, path: str) -> int | None:
            assert processes[name].alive, processes[name].last_lines(20)
            try:
                return (await client.get(f"http://127.0.0.1:{ports[name]}{path}")).status_code
            except httpx.TransportError:
                return None

        try:
            for process in processes.values():
                process.start()
            await eventually(lambda: status_of("gateway", "/"), timeout_s=60)
            assert await status_of("gateway", "/readyz") == 503
            assert await status_of("worker", "/readyz") != 200
            kafka.process.start()
            await eventually(kafka.ready, timeout_s=60)
            await ensure_topics(kafka.bootstrap_servers, ALL_TOPICS, 2)
            for name in ("gateway", "worker"):

                async def ready(name: str = name) -> bool:
                    return await status_of(name, "/readyz") == 200

                await eventually(ready, timeout_s=60)
            await eventually(lambda: status_of("produce", "/healthz"), timeout_s=30)
        finally:
            for process in (*processes.values(), kafka.process):
                process.stop()


@pytest.mark.verify
async def test_status_down_and_a_second_up_know_the_running_one(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    async with running(data_dir) as up:
        answer = command("status", "--json", "--data-dir", str(data_dir))
        assert answer.returncode == 0, answer.stderr
        assert json.loads(answer.stdout)["address"] == f"http://127.0.0.1:{up.http_port}/"
        assert "worker-1" in command("status", "--data-dir", str(data_dir)).stdout

        second = command("up", "--data-dir", str(data_dir), "--no-browser")
        assert second.returncode == 1
        assert "runs already" in second.stderr
        assert "Traceback" not in second.stderr

        assert command("down", "--data-dir", str(data_dir)).stdout.strip() == "stopped"
        assert up.process is not None
        assert up.process.wait(10) == 0
        assert command("status", "--data-dir", str(data_dir)).returncode == 3


@pytest.mark.verify
async def test_a_refused_key_ends_up_with_its_sentence_in_terminal_status_and_page(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    sentence = "the feed refused the API key"
    async with (
        running(data_dir, "simulator", "--symbols", "20") as up,
        httpx.AsyncClient(timeout=2.0, trust_env=False) as client,
    ):
        told: list[str] = []

        async def page_is_told() -> bool:
            answer = await client.get(f"http://127.0.0.1:{up.http_port}/api/status")
            told.append(answer.json()["failure"] or "")
            return sentence in told[-1]

        assert not await page_is_told()
        faults = {"refuse_login": True, "drop": True}

        async def simulator_is_told() -> bool:
            """The page answers before the simulator does."""
            try:
                answer = await client.post(f"http://127.0.0.1:{up.simulator_port}/control/faults", json=faults)
            except httpx.TransportError:
                return False
            return answer.status_code == 200

        await eventually(simulator_is_told, timeout_s=30)
        await eventually(page_is_told, timeout_s=60)

        printed = await asyncio.to_thread(up.finish)
        assert up.process is not None
        assert up.process.returncode == 1
        assert f"error: producer ended for good: {sentence}" in printed
        assert "Traceback" not in printed
        assert printed.count("ended with") == 0, "it was started again"
    status = command("status", "--data-dir", str(data_dir))
    assert status.returncode == 3
    assert sentence in status.stderr
    assert sentence in json.loads(command("status", "--json", "--data-dir", str(data_dir)).stdout)["last_end"]


@pytest.mark.verify
async def test_a_killed_worker_is_started_again_and_said_so(tmp_path: Path) -> None:
    async with running(tmp_path / "data") as up:
        state = up.state()
        assert state is not None
        killed = next(process["pid"] for process in state["processes"] if process["name"] == "worker-1")
        os.kill(killed, signal.SIGKILL)

        def again() -> bool:
            worker = next(process for process in (up.state() or state)["processes"] if process["name"] == "worker-1")
            return bool(worker["restarts"] == 1 and worker["alive"] and worker["pid"] != killed)

        await eventually(again, timeout_s=20)
        assert up.process is not None
        up.process.send_signal(signal.SIGTERM)
        assert "worker-1 ended with signal SIGKILL" in up.finish()


@pytest.mark.verify
async def test_a_killed_up_leaves_no_process_behind_and_the_next_one_has_its_data(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    async with running(data_dir) as up:
        assert up.process is not None
        family = up.family()
        up.process.kill()
        up.process.wait(10)

        # At once, on the same ports: the second one waits until the first one's processes are gone.
        async with running(data_dir, ports=up.ports) as second:
            assert not [process for process in family if process.is_running()]
            assert second.process is not None
            second.process.send_signal(signal.SIGTERM)
            assert f"0 made, {len(ALL_TOPICS)} there already" in second.finish()


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port that something listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield int(taken.getsockname()[1])


def test_a_taken_port_is_one_clear_sentence(tmp_path: Path, taken_port: int) -> None:
    answer = command("up", "--data-dir", str(tmp_path), "--http-port", str(taken_port), "--source", "none")
    assert answer.returncode == 1
    assert f"port {taken_port} (the page) is taken; choose another by --http-port" in answer.stderr
    assert "Traceback" not in answer.stderr + answer.stdout


def test_an_unwritable_data_directory_is_one_clear_sentence(tmp_path: Path) -> None:
    # A file where the directory should be: permissions do not stop a test that runs as root.
    (tmp_path / "file").write_text("")
    answer = command("up", "--data-dir", str(tmp_path / "file" / "data"), "--source", "none")
    assert answer.returncode == 1
    assert "cannot be written" in answer.stderr
    assert "Traceback" not in answer.stderr + answer.stdout


def test_a_source_without_its_key_is_refused_before_anything_starts(tmp_path: Path) -> None:
    answer = command("up", "--data-dir", str(tmp_path / "data"), "--source", "massive")
    assert answer.returncode == 1
    assert "MASSIVE_API_KEY" in answer.stderr
    assert not (tmp_path / "data").exists()
