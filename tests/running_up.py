"""`tapereader up` in a process of its own, with a Kafka and a Redis of its own."""

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from app.local.state import read_state
from tests.conftest import free_port
from tests.eventually import eventually

PARTITIONS = 2


class Ports(NamedTuple):
    """The ports of one `up`."""

    http: int
    redis: int
    control: int
    simulator: int
    kafka: int


class RunningUp:
    """A `tapereader up` in a process of its own, with `--source none` unless told otherwise."""

    def __init__(
        self, data_dir: Path, source: str = "none", *arguments: str, ports: "Ports | None" = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        self.environment = dict(environment or {})
        self.data_dir, self.arguments = data_dir, ("--source", source, *arguments)
        self.ports = ports or Ports(free_port(), free_port(), free_port(), free_port(), free_port(side_by_side=2))
        self.http_port, self.redis_port, self.control_port, self.simulator_port, self.kafka_port = self.ports
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> "RunningUp":
        self.process = subprocess.Popen(
            [
                sys.executable, "-m", "app", "up", *self.arguments, "--no-browser",
                "--data-dir", str(self.data_dir), "--http-port", str(self.http_port),
                "--redis-port", str(self.redis_port), "--kafka-port", str(self.kafka_port),
                "--control-port", str(self.control_port), "--simulator-port", str(self.simulator_port),
                "--partitions", str(PARTITIONS),
            ],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env=clean_environment() | self.environment, start_new_session=True,
        )  # fmt: skip
        return self

    def state(self) -> dict[str, Any] | None:
        assert self.process is not None
        assert self.process.poll() is None, f"`up` ended:\n{self.process.stdout.read() if self.process.stdout else ''}"
        found = read_state(self.data_dir)
        return found if found is not None and found["started"] else None

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


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A `tapereader` command, run to its end."""
    return subprocess.run(
        [sys.executable, "-m", "app", *arguments],
        capture_output=True, text=True, timeout=100, check=False, env=clean_environment(),
    )  # fmt: skip


@asynccontextmanager
async def running(
    data_dir: Path, source: str = "none", *arguments: str, ports: Ports | None = None,
    environment: Mapping[str, str] | None = None,
) -> AsyncIterator[RunningUp]:  # fmt: skip
    """An `up` that is ready; nothing of it is left afterwards."""
    up = RunningUp(data_dir, source, *arguments, ports=ports, environment=environment).start()
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
