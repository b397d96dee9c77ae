"""`tapereader up` as a user runs it: a process of its own, with a Kafka and a Redis of its own."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from aiokafka.admin import AIOKafkaAdminClient

from app.local.state import read_state
from app.topics import ALL_TOPICS
from tests.conftest import free_port
from tests.eventually import eventually

pytestmark = pytest.mark.timeout(180)

PARTITIONS = 2


class RunningUp:
    """A `tapereader up --source none` in a process of its own."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.http_port, self.redis_port = free_port(), free_port()
        self.kafka_port = free_port_pair()
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> "RunningUp":
        self.process = subprocess.Popen(
            [
                sys.executable, "-m", "app", "up", "--source", "none", "--no-browser",
                "--data-dir", str(self.data_dir), "--http-port", str(self.http_port),
                "--redis-port", str(self.redis_port), "--kafka-port", str(self.kafka_port),
                "--partitions", str(PARTITIONS),
            ],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=clean_environment(),
            start_new_session=True,
        )  # fmt: skip
        return self

    def state(self) -> dict[str, Any] | None:
        assert self.process is not None
        assert self.process.poll() is None, f"`up` ended:\n{self.process.stdout.read() if self.process.stdout else ''}"
        found = read_state(self.data_dir)
        return found if found is not None and found["ready"] else None

    def family(self) -> list[psutil.Process]:
        """Every process that was started, its reaper included."""
        assert self.process is not None
        return list(psutil.Process(self.process.pid).children(recursive=True))

    def finish(self) -> str:
        """What it printed, when it has ended."""
        assert self.process is not None
        return self.process.communicate(timeout=60)[0]


def clean_environment() -> dict[str, str]:
    """The environment without settings of whoever runs the tests."""
    ours = ("KAFKA_BOOTSTRAP_SERVERS", "REDIS_URL", "MASSIVE_API_KEY", "POLYGON_API_KEY")
    return {
        name: value for name, value in os.environ.items() if not name.startswith("TAPEREADER_") and name not in ours
    }


def free_port_pair() -> int:
    """A free port whose successor is free too."""
    for _ in range(100):
        port = free_port()
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port + 1))
            except (OSError, OverflowError):
                continue
            return port
    raise AssertionError("no two free ports side by side")


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A `tapereader` command, run to its end."""
    return subprocess.run(
        [sys.executable, "-m", "app", *arguments],
        capture_output=True, text=True, timeout=100, check=False, env=clean_environment(),
    )  # fmt: skip


@asynccontextmanager
async def running(data_dir: Path) -> AsyncIterator[RunningUp]:
    """An `up` that is ready; nothing of it is left afterwards."""
    up = RunningUp(data_dir).start()
    family: list[psutil.Process] = []
    try:
        await eventually(up.state, timeout_s=100)
        family = up.family()
        yield up
    finally:
        assert up.process is not None
        if up.process.poll() is None:
            up.process.send_signal(signal.SIGTERM)
            try:
                up.process.wait(60)
            except subprocess.TimeoutExpired:
                up.process.kill()
                up.process.wait(10)
        if up.process.stdout is not None:
            up.process.stdout.close()
        _, left = psutil.wait_procs(family, timeout=30)
        for process in left:
            process.kill()
        assert not left, f"`up` left processes behind: {left}"


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


async def test_a_killed_up_leaves_no_process_behind_and_the_next_one_has_its_data(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    async with running(data_dir) as up:
        assert up.process is not None
        family = up.family()
        up.process.kill()
        up.process.wait(10)

        _, left = await asyncio.to_thread(psutil.wait_procs, family, timeout=30)
        assert not left

    async with running(data_dir) as up:
        assert up.process is not None
        up.process.send_signal(signal.SIGTERM)
        assert f"0 made, {len(ALL_TOPICS)} there already" in up.finish()


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
