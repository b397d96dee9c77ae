"""How long a `kill -9` of a worker stops the tables: its partitions, and those of the worker that stays.

    python -m benchmarks.rebalance [--standbys 1]

Two workers share four partitions, whose changelogs hold 1,000,000 records; 2,000 records/s come in. One worker is
killed. Prints, from the kill on, when the first row of its partitions was written, and the longest pause of the others.
"""

import argparse
import asyncio
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from benchmarks.broker import broker, create_topics, fill
from benchmarks.record import keep

PARTITIONS = 4
SESSION_TIMEOUT_MS = 6000

#: Seconds from the kill to the end of what is looked at.
LOOK_S = 25.0


def worker(bootstrap: str, name: str, standbys: int) -> None:
    """A worker whose table holds each key's newest value."""
    from app.stream import BatchedTable, DeadLetterWriter, RecordBatchSchema
    from app.stream.application import batched_app
    from app.stream.running import run_worker

    options: dict[str, Any] = {"standbys": standbys} if standbys else {}
    app = batched_app(
        f"{name}-group", bootstrap, partitions=PARTITIONS, session_timeout_ms=SESSION_TIMEOUT_MS, **options
    )
    table = BatchedTable[bytes](
        app, name="last", changelog_topic=app.topic(name, schema=RecordBatchSchema()), sources=[f"{name}-source"],
        encode=bytes, decode=bytes, dead_letters=DeadLetterWriter(app, f"{name}-dead"),
    )  # fmt: skip

    def fold(view: Any, batch: Any) -> None:
        for key, value in zip(batch.keys, batch.values, strict=True):
            view[key.decode()] = value

    async def run(stream: Any) -> None:
        async for event in stream.events():
            await table.fold(event.value, fold, event.message)

    app.agent(app.topic(f"{name}-source", schema=RecordBatchSchema()), name=f"{name}-agent")(run)
    run_worker(app, loglevel="warning")


async def load(bootstrap: str, name: str) -> None:
    """2,000 records/s, evenly over the partitions; until it is cancelled."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    await producer.start()
    number = 0
    try:
        while True:
            for partition in range(PARTITIONS):
                for _ in range(10):
                    number += 1
                    await producer.send(
                        f"{name}-source", key=b"S%04d" % (number % 6000), value=b"{}", partition=partition
                    )
            await asyncio.sleep(0.02)
    finally:
        await producer.stop()


class Rows:
    """When rows of each partition were written, and when the partition was claimed."""

    def __init__(self) -> None:
        self.written: dict[int, list[float]] = defaultdict(list)
        self.claims: dict[int, list[tuple[float, bytes]]] = defaultdict(list)

    async def follow(self, bootstrap: str, name: str) -> None:
        """Note all that is appended from now on; until it is cancelled."""
        consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, fetch_max_wait_ms=20)
        await consumer.start()
        try:
            consumer.assign([TopicPartition(name, partition) for partition in range(PARTITIONS)])
            await consumer.seek_to_end()
            async for record in consumer:
                if record.key == b"#claim":
                    self.claims[record.partition] += [(time.time(), value) for _, value in record.headers]
                elif record.value is not None:
                    self.written[record.partition].append(time.time())
        finally:
            await consumer.stop()

    async def claimed_by(self, workers: int) -> None:
        """Wait until so many workers have claimed a partition, each by the epoch that it then has."""
        while max((len({value for _, value in found}) for found in self.claims.values()), default=0) < workers:
            await asyncio.sleep(0.2)

    async def flowing(self) -> None:
        """Wait until rows of all partitions were written in the last half second, for five seconds on end."""
        since_s = time.time()
        while time.time() - since_s < 5.0:
            await asyncio.sleep(0.2)
            newest = [self.written[partition][-1:] for partition in range(PARTITIONS)]
            if any(not at or time.time() - at[0] > 0.5 for at in newest):
                since_s = time.time()

    def is_taken_over(self, partition: int, since_s: float) -> bool:
        """Whether a worker has claimed a partition that had not before; who keeps one says the same again."""
        before = {value for at_s, value in self.claims[partition] if at_s < since_s}
        return any(value not in before for _, value in self.claims[partition])

    def longest_pause_s(self, partition: int, since_s: float) -> float:
        """The longest time without a row after a moment."""
        times = [since_s, *(at for at in self.written[partition] if at >= since_s)]
        return max(later - earlier for earlier, later in pairwise(times))


async def measure(bootstrap: str, name: str, standbys: int, logs: Path) -> dict[str, float]:
    """Kill one of two workers under load."""
    command = [sys.executable, "-m", "benchmarks.rebalance", "--worker", bootstrap, name, str(standbys)]
    rows = Rows()
    tasks = [asyncio.create_task(rows.follow(bootstrap, name)), asyncio.create_task(load(bootstrap, name))]
    workers: list[subprocess.Popen[bytes]] = []
    try:
        with (logs / "workers.log").open("wb") as log:
            for number in (1, 2):
                workers.append(subprocess.Popen(command, stdout=log, stderr=log))
                await rows.claimed_by(number)
                await rows.flowing()
        killed_s = time.time()
        workers[0].send_signal(signal.SIGKILL)
        await asyncio.sleep(LOOK_S)
    finally:
        for each in workers:
            each.kill()
            each.wait()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    pauses = {partition: rows.longest_pause_s(partition, killed_s) for partition in range(PARTITIONS)}
    others = [pause for partition, pause in pauses.items() if not rows.is_taken_over(partition, killed_s)]
    its = [pause for partition, pause in pauses.items() if rows.is_taken_over(partition, killed_s)]
    return {"its_partitions_s": round(max(its), 2), "others_pause_s": round(max(others), 2)}


def main() -> None:
    """Measure, print, keep."""
    if sys.argv[1:2] == ["--worker"]:
        worker(sys.argv[2], sys.argv[3], int(sys.argv[4]))
        return
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--standbys", type=int, default=0)
    arguments.add_argument("--records", type=int, default=1_000_000)
    given = arguments.parse_args()
    name = f"rebalance-{uuid.uuid4().hex[:6]}"
    with broker() as bootstrap, tempfile.TemporaryDirectory() as logs:
        asyncio.run(create_topics(bootstrap, [name, f"{name}-source", f"{name}-dead"], PARTITIONS))
        asyncio.run(fill(bootstrap, name, given.records, PARTITIONS))
        found = asyncio.run(measure(bootstrap, name, given.standbys, Path(logs)))
    found |= {"standbys": given.standbys, "records": given.records, "session_timeout_s": SESSION_TIMEOUT_MS / 1000}
    keep("rebalance", found)
    print(
        f"first row of the killed worker's partitions after {found['its_partitions_s']:.2f} s, of which up to "
        f"{SESSION_TIMEOUT_MS / 1000:.0f} s until it is noticed; the others paused for {found['others_pause_s']:.2f} s"
    )


if __name__ == "__main__":
    main()
