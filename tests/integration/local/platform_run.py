"""The platform as processes on a broker: simulator, producer, workers, gateway, each with its own log."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.conftest import free_port
from tests.eventually import eventually

ROOT = Path(__file__).parents[3]

#: The key of the run: it must be in no log.
API_KEY = "k3y-th4t-n0-l0g-sh0ws"


class Platform:
    """Processes by name, the HTTP address of each."""

    def __init__(self, logs: Path, environment: dict[str, str]) -> None:
        self.logs, self.environment = logs, {**os.environ, **environment}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.urls: dict[str, str] = {}

    def log(self, name: str) -> str:
        """What a process has logged."""
        return (self.logs / f"{name}.log").read_text(encoding="utf-8", errors="replace")

    def start(self, name: str, command: str, **settings: str) -> None:
        """Start `tapereader COMMAND` under a name."""
        environment = {**self.environment, **{f"TAPEREADER_{key.upper()}": value for key, value in settings.items()}}
        with (self.logs / f"{name}.log").open("wb") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", "app", command], stdout=log, stderr=log, cwd=ROOT, env=environment
            )

    async def get(self, name: str, path: str) -> httpx.Response:
        """What a process answers."""
        async with httpx.AsyncClient(timeout=5.0, trust_env=False) as client:
            return await client.get(self.urls[name] + path)

    async def ready(self, name: str, timeout_s: float = 100.0) -> dict[str, Any]:
        """Until a process says that it is ready; what it says."""
        said = "nothing yet"

        async def is_ready() -> dict[str, Any] | None:
            nonlocal said
            process = self.processes[name]
            assert process.poll() is None, f"{name} ended:\n{self.log(name)[-3000:]}"
            if name not in self.urls and (found := re.search(r"http://127\.0\.0\.1:\d+(?=/metrics)", self.log(name))):
                self.urls[name] = found[0]
            if name not in self.urls:
                return None
            try:
                answer = await self.get(name, "/readyz")
            except httpx.TransportError:
                return None
            body: dict[str, Any] = answer.json()
            said = answer.text
            return body if answer.status_code == 200 else None

        try:
            return await eventually(is_ready, timeout_s=timeout_s) or {}
        except AssertionError as error:
            raise AssertionError(f"{name} is not ready: {error}; it said {said}\n{self.log(name)[-3000:]}") from None

    def stop(self) -> None:
        """End all in order, by force where one does not."""
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(timeout=10)


@contextmanager
def platform_run(bootstrap: str, redis_url: str, logs: Path, **settings: str) -> Iterator[Platform]:
    """The platform's processes, started as soon as their topics are there; not waited for."""
    ports = {name: free_port() for name in ("gateway", "producer", "simulator")}
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
        "REDIS_URL": redis_url,
        "MASSIVE_API_KEY": API_KEY,
        "TAPEREADER_PARTITIONS": "4",
        "TAPEREADER_LOG_JSON": "true",
        "TAPEREADER_SYMBOLS": "60",
        "TAPEREADER_MARKET_START": "10:00",
        "TAPEREADER_HTTP_PORT": str(ports["gateway"]),
        "TAPEREADER_CONTROL_PORT": str(ports["producer"]),
        "TAPEREADER_SIMULATOR_PORT": str(ports["simulator"]),
        **{f"TAPEREADER_{name.upper()}": value for name, value in settings.items()},
    }
    platform = Platform(logs, environment)
    platform.urls |= {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    try:
        yield platform
    finally:
        platform.stop()
