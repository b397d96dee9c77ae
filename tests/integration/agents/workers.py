"""A broker with the platform's topics, worker processes on it, and its tables as a reader finds them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from app.local.kafka import LocalKafka
from tests.conftest import free_port
from tests.worker_processes import WorkerProcesses

PARTITIONS = 4


@contextmanager
def own_broker(directory: Path, properties: Mapping[str, str] | None = None) -> Iterator[str]:
    """A broker of the test's own: the platform's topics have one name each."""
    broker = LocalKafka(directory, free_port(), free_port(), properties=properties)
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


def chunks_of(rows: dict[str, bytes]) -> dict[str, dict[int, bytes]]:
    """Symbol to its chunks by slot, of the rows of the trade tape."""
    found: dict[str, dict[int, bytes]] = {}
    for key, value in rows.items():
        symbol, _, slot = key.rpartition("/")
        found.setdefault(symbol, {})[int(slot)] = value
    return found
