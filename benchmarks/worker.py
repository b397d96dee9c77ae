"""What a whole worker does with each kind of event, and what Kafka stores: the figures of docs/capacity.md.

    python -m benchmarks.worker

A broker of its own, one `tapereader worker`. Rounds of few events, followed at once (a quiet day); then it is held
while events of one kind are appended, and let go (the open): records and CPU seconds until all are in the tables.
Sizes are those of the broker's files.
"""

import argparse
import asyncio
import json
import random
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from app.kafka import topics
from app.local.kafka import LocalKafka
from app.observability import metrics
from benchmarks.broker import aggregate, free_port
from benchmarks.real_workers import real_workers
from benchmarks.record import keep
from producers.publisher import Publisher
from producers.routing import route_event

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


def rows_sent(port: int, kind: str) -> float:
    """Records that the worker wrote to the tables of a kind since it started, by its `/metrics`."""
    name = metrics.SENT.prometheus_name
    text = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=5.0).text
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and sample.labels.get("messaging_destination_name") in TABLES[kind]
    )


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
                kinds[kind] = asyncio.run(one_kind(kafka.bootstrap_servers, directory, kind, given.records))
            finally:
                kafka.stop()
        print(kind, json.dumps(kinds[kind]), flush=True)
    keep("worker", {"kinds": kinds})


async def one_kind(bootstrap: str, directory: Path, kind: str, records: int) -> dict[str, Any]:
    """The figures of one kind of event."""
    few, port = records // 30, free_port()
    async with real_workers(
        bootstrap, 1, PARTITIONS, directory, source="none", worker_http_port=str(port)
    ) as workers:  # fmt: skip
        # The first round is done when the worker has its partitions.
        await append(bootstrap, kind, 50, 50)
        await workers.done()
        await append(bootstrap, kind, few, 50)
        await workers.done()
        rows_quiet = rows_sent(port, kind)
        raw_quiet, stored_quiet = size(directory, RAW[kind]), sum(size(directory, table) for table in TABLES[kind])
        source = random.Random(8)
        # Once uncounted, so that every symbol has its row.
        await workers.block([event(kind, source, few + number) for number in range(records)])
        raw_warm, stored_warm = size(directory, RAW[kind]), sum(size(directory, table) for table in TABLES[kind])
        rows_warm = rows_sent(port, kind)
        busy = await workers.block([event(kind, source, few + records + number) for number in range(records)])
        rows_busy = rows_sent(port, kind) - rows_warm
    stored = sum(size(directory, table) for table in TABLES[kind]) - stored_warm
    return {
        "records_per_s": round(records / busy["wall_s"]),
        "cpu_us_per_record": round(busy["cpu_s"] / records * 1e6, 2),
        "bytes_per_event_quiet": round(raw_quiet / few, 1),
        "bytes_per_event_busy": round((size(directory, RAW[kind]) - raw_warm) / records, 1),
        "row_bytes_per_event_quiet": round(stored_quiet / few, 1),
        "row_bytes_per_event_busy": round(stored / records, 1),
        "rows_per_event_quiet": round(rows_quiet / few, 3),
        "rows_per_event_busy": round(rows_busy / records, 3),
    }


if __name__ == "__main__":
    main()
