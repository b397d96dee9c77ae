"""What a whole worker does with each kind of event, and what Kafka stores: the figures of docs/capacity.md.

    python -m benchmarks.worker

A broker of its own, one `tapereader worker`. Events of one kind are appended while it is stopped, then it
is started and asked at `/metrics`: records and CPU seconds between two looks while it is behind. Sizes
are those of the broker's files, for rounds of few events (a quiet day) and of many (the open).
"""

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from app import metrics, topics
from app.local.kafka import LocalKafka
from app.topic_admin import ensure_topics
from benchmarks.broker import aggregate, free_port
from benchmarks.engine import machine
from producers.publisher import Publisher
from producers.routing import route_event

RESULTS = Path(__file__).parent / "results" / "worker.json"
SYMBOLS = 12_000
PARTITIONS = 8
START_MS = 1_795_186_800_000
TABLES = {"A": ("market.quotes", "market.daily-ranges"), "T": ("tapereader.trade-tape",), "Q": ("market.nbbo",)}
RAW = {"A": topics.AGGREGATES.name, "T": topics.TRADES.name, "Q": topics.QUOTES.name}


def event(kind: str, source: random.Random, number: int) -> bytes:
    """An event as Massive sends it; busy symbols are hit more often, as on the tape."""
    symbol = f"S{min(int(source.expovariate(1 / 2500)), SYMBOLS - 1):05d}"
    cents, at_ms = source.randrange(100, 40_000), START_MS + number // 50
    if kind == "T":
        return b'{"ev":"T","sym":"%s","x":4,"i":"%d","z":3,"p":%d.%02d,"s":%d,"c":[14,37],"t":%d,"q":%d}' % (
            symbol.encode(), number, cents // 100, cents % 100, source.randrange(1, 999), at_ms, number,
        )  # fmt: skip
    if kind == "Q":
        return b'{"ev":"Q","sym":"%s","bx":4,"bp":%d.%02d,"bs":%d,"ax":7,"ap":%d.%02d,"as":%d,"c":0,"t":%d,"q":%d}' % (
            symbol.encode(), cents // 100, cents % 100, source.randrange(1, 99), cents // 100 + 1, cents % 100,
            source.randrange(1, 99), at_ms, number,
        )  # fmt: skip
    value = aggregate(source, symbol, number)
    return value[: value.index(b',"s":')] + b',"s":%d,"e":%d}' % (at_ms - 1000, at_ms)


async def append(bootstrap: str, kind: str, records: int, round_events: int) -> None:
    """Publish events in rounds of so many, as the producer does."""
    source = random.Random(7)
    async with Publisher(bootstrap) as publisher:
        for start in range(0, records, round_events):
            now_ns = time.time_ns()
            numbers = range(start, min(start + round_events, records))
            routed: list[Any] = [route_event(event(kind, source, number)) for number in numbers]
            await publisher.publish([(each, now_ns) for each in routed])


def size(directory: Path, topic: str) -> int:
    """Bytes of a topic's segments, as they are appended (indexes are preallocated and left out)."""
    return sum(path.stat().st_size for path in directory.glob(f"data/{topic}-*/*.log"))


class Worker:
    """One `tapereader worker` and what it says at `/metrics`."""

    def __init__(self, bootstrap: str, directory: Path) -> None:
        self.port = free_port()
        environment = os.environ | {
            "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
            "TAPEREADER_PARTITIONS": str(PARTITIONS),
            "TAPEREADER_SOURCE": "none",
            "TAPEREADER_WORKER_HTTP_PORT": str(self.port),
        }
        with (directory / "worker.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "app", "worker"], env=environment, stdout=log, stderr=log
            )

    def wait_ready(self) -> None:
        """Until it says that it is ready. Raises `RuntimeError` where it does not in time."""
        until_s = time.monotonic() + 120
        while time.monotonic() < until_s:
            try:
                if httpx.get(f"http://127.0.0.1:{self.port}/readyz", timeout=5.0).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.2)
        raise RuntimeError("the worker was not ready in time")

    def stop(self) -> None:
        """End it in order."""
        self.process.terminate()
        self.process.wait(60)

    def look(self) -> dict[str, dict[str, float]]:
        """Series by name, then by topic or table."""
        found: dict[str, dict[str, float]] = {}
        text = httpx.get(f"http://127.0.0.1:{self.port}/metrics", timeout=5.0).text
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                label = sample.labels.get("messaging_destination_name") or sample.labels.get("tapereader_table") or ""
                own = found.setdefault(sample.name, {})
                own[label] = own.get(label, 0.0) + sample.value
        return found


def measured(worker: Worker, kind: str, records: int) -> dict[str, Any]:
    """Follow a worker until it has read and flushed everything of a kind."""
    consumed, cpu = metrics.CONSUMED.prometheus_name, metrics.PROCESS_CPU.prometheus_name
    looks: list[tuple[float, float, float]] = []
    sent: dict[str, float] = {}
    until_s = time.monotonic() + 240
    while time.monotonic() < until_s:
        try:
            found = worker.look()
        except httpx.TransportError:
            time.sleep(0.1)
            continue
        read = found.get(consumed, {}).get(RAW[kind], 0.0)
        looks.append((time.perf_counter(), read, found[cpu][""]))
        sent = found.get(metrics.SENT.prometheus_name, {})
        lag = found.get(metrics.LAG.prometheus_name, {}).get(RAW[kind], 1.0)
        if read >= records and lag == 0:
            break
        time.sleep(0.1)
    # From the first look with some records to the first with all: neither start nor idling counts.
    first = next(at for at, look in enumerate(looks) if look[1] > 0)
    last = next(at for at, look in enumerate(looks) if look[1] >= records)
    (at_s, read, cpu_s), (end_s, all_read, end_cpu_s) = looks[first], looks[last]
    if last == first:
        return {
            "records_per_s": 0,
            "cpu_us_per_record": 0.0,
            "rows": sum(sent.get(table, 0.0) for table in TABLES[kind]),
        }
    return {
        "records_per_s": round((all_read - read) / (end_s - at_s)),
        "cpu_us_per_record": round((end_cpu_s - cpu_s) / (all_read - read) * 1e6, 2),
        "rows": sum(sent.get(table, 0.0) for table in TABLES[kind]),
    }


def main() -> None:
    """Measure each kind and keep the figures."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--records", type=int, default=300_000)
    given = arguments.parse_args()
    kinds: dict[str, Any] = {}
    for kind in RAW:
        with tempfile.TemporaryDirectory() as name:
            directory = Path(name)
            kafka = LocalKafka(directory, free_port(), free_port())
            kafka.start()
            try:
                kafka.wait_ready()
                kinds[kind] = one_kind(kafka.bootstrap_servers, directory, kind, given.records)
            finally:
                kafka.stop()
        print(kind, json.dumps(kinds[kind]), flush=True)
    RESULTS.write_text(json.dumps({"kinds": kinds, "machine": machine()}, indent=1) + "\n", encoding="utf-8")


def one_kind(bootstrap: str, directory: Path, kind: str, records: int) -> dict[str, Any]:
    """The figures of one kind of event."""
    asyncio.run(ensure_topics(bootstrap, topics.ALL_TOPICS, PARTITIONS))
    few = records // 30
    worker = Worker(bootstrap, directory)
    try:
        worker.wait_ready()
        asyncio.run(append(bootstrap, kind, few, 50))
        quiet = measured(worker, kind, few)
    finally:
        worker.stop()
    raw_quiet, stored_quiet = size(directory, RAW[kind]), sum(size(directory, table) for table in TABLES[kind])
    asyncio.run(append(bootstrap, kind, records, 2000))
    worker = Worker(bootstrap, directory)
    try:
        busy = measured(worker, kind, records)
    finally:
        worker.stop()
    stored = sum(size(directory, table) for table in TABLES[kind]) - stored_quiet
    return {
        "records_per_s": busy["records_per_s"],
        "cpu_us_per_record": busy["cpu_us_per_record"],
        "bytes_per_event_quiet": round(raw_quiet / few, 1),
        "bytes_per_event_busy": round((size(directory, RAW[kind]) - raw_quiet) / records, 1),
        "row_bytes_per_event_quiet": round(stored_quiet / few, 1),
        "row_bytes_per_event_busy": round(stored / records, 1),
        "rows_per_event_quiet": round(quiet["rows"] / few, 3),
        "rows_per_event_busy": round(busy["rows"] / records, 3),
    }


if __name__ == "__main__":
    main()
