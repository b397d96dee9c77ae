"""A broker with the platform's topics, worker processes on it, and its tables as a reader finds them."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from app import topics
from app.local.kafka import LocalKafka
from tests.conftest import free_port
from tests.consistency.harness import read_all

ROOT = Path(__file__).parents[2]
PARTITIONS = 4


@contextmanager
def own_broker(directory: Path) -> Iterator[str]:
    """A broker of the test's own: the platform's topics have one name each."""
    broker = LocalKafka(directory, free_port(), free_port())
    broker.start()
    try:
        broker.wait_ready()
        yield broker.bootstrap_servers
    finally:
        broker.stop()


class Workers:
    """Processes of `tapereader worker`; each writes its own log."""

    def __init__(self, bootstrap: str, logs: Path, **settings: str) -> None:
        self.environment = os.environ | {
            "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
            "TAPEREADER_PARTITIONS": str(PARTITIONS),
            "TAPEREADER_SESSION_TIMEOUT_MS": "3000",
            "TAPEREADER_TRADE_WINDOWS_INTERVAL_S": "0.5",
            "TAPEREADER_LOG_JSON": "true",
            **{f"TAPEREADER_{name.upper()}": value for name, value in settings.items()},
        }
        self.logs = logs
        self.running: list[subprocess.Popen[bytes]] = []
        self.started = 0

    def start(self, module: str = "app", *arguments: str) -> None:
        """Start one more: `tapereader worker`, or another module that runs workers."""
        command = [sys.executable, "-m", module, *(arguments or (("worker",) if module == "app" else ()))]
        self.started += 1
        with (self.logs / f"worker-{self.started}.log").open("wb") as log:
            self.running.append(
                subprocess.Popen(
                    command,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    cwd=ROOT,
                    env=self.environment,
                )
            )

    def kill(self, index: int) -> None:
        """End one at once, as a power cut does."""
        process = self.running.pop(index)
        os.kill(process.pid, signal.SIGKILL)
        process.wait(timeout=10)

    def reap(self) -> int:
        """Forget those that ended by themselves; how many there were."""
        before = len(self.running)
        self.running = [process for process in self.running if process.poll() is None]
        return before - len(self.running)

    def stop(self) -> None:
        """End all."""
        for process in self.running:
            process.kill()
        for process in self.running:
            process.wait(timeout=10)
        self.running.clear()


async def table(bootstrap: str, spec: topics.TopicSpec) -> dict[str, Any]:
    """A table as anyone who reads its topic from the start finds it: key to parsed row."""
    return {key: json.loads(value) for key, value in (await raw_table(bootstrap, spec)).items()}


async def raw_table(bootstrap: str, spec: topics.TopicSpec) -> dict[str, bytes]:
    """As `table`, with rows as the bytes that they are."""
    rows: dict[str, bytes] = {}
    for record in await read_all(bootstrap, spec.name):
        key = (record.key or b"").decode()
        if record.value is None:
            rows.pop(key, None)
        else:
            rows[key] = record.value
    return rows


def chunks_of(rows: dict[str, bytes]) -> dict[str, dict[int, bytes]]:
    """Symbol to its chunks by slot, of the rows of the trade tape."""
    found: dict[str, dict[int, bytes]] = {}
    for key, value in rows.items():
        symbol, _, slot = key.rpartition("/")
        found.setdefault(symbol, {})[int(slot)] = value
    return found
