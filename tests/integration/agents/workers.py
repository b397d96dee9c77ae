"""A broker with the platform's topics, worker processes on it, and its tables as a reader finds them."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from app.kafka import topics
from app.local.kafka import LocalKafka
from tests.conftest import free_port
from tests.consistency.harness import read_all
from tests.worker_processes import WorkerProcesses

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


class Workers(WorkerProcesses):
    """Processes of `tapereader worker`."""

    def __init__(self, bootstrap: str, logs: Path, **settings: str) -> None:
        environment = {
            "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
            "TAPEREADER_PARTITIONS": str(PARTITIONS),
            "TAPEREADER_SESSION_TIMEOUT_MS": "3000",
            "TAPEREADER_TRADE_WINDOWS_INTERVAL_S": "0.5",
            "TAPEREADER_LOG_JSON": "true",
            **{f"TAPEREADER_{name.upper()}": value for name, value in settings.items()},
        }
        super().__init__(logs, ["-m", "app", "worker"], environment)


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
