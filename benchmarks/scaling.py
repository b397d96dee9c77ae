"""The engine's rate against the number of partitions and of workers.

    python -m benchmarks.scaling

Each cell: the same records, folded into the table of the engine's benchmark, by so many worker
processes of one group; the rate is that of all together, from the moment when they are let go to the
commit of the last record. More workers than free cores cannot go faster than the cores.
"""

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import uuid

from aiokafka import AIOKafkaConsumer, TopicPartition

from benchmarks.broker import broker, create_topics, fill
from benchmarks.record import keep

PARTITIONS, WORKERS = (1, 2, 4, 8), (1, 2)

#: Commits often enough to be the clock; a session that outlasts the standstill.
OPTIONS = {"broker_commit_interval": 0.1, "session_timeout_ms": 60_000}


async def committed(reader: AIOKafkaConsumer, topic: str, partitions: int) -> int:
    """Records that the group of the reader has committed."""
    return sum([await reader.committed(TopicPartition(topic, at)) or 0 for at in range(partitions)])


async def drained(bootstrap: str, topic: str, group: str, partitions: int, records: int) -> float:
    """Seconds until the group has committed all records. Raises `TimeoutError` after 120 s."""
    reader = AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False)
    started = time.perf_counter()
    await reader.start()
    try:
        async with asyncio.timeout(120):
            while await committed(reader, topic, partitions) < records:
                await asyncio.sleep(0.02)
    finally:
        await reader.stop()
    return time.perf_counter() - started


def one_cell(bootstrap: str, partitions: int, workers: int, records: int) -> float:
    """Records/s of so many workers; they stand still while the records are appended."""
    topic = group = f"scaling-{uuid.uuid4().hex[:6]}"
    asyncio.run(create_topics(bootstrap, [topic, f"{group}-changelog", f"{group}-dead"], partitions))
    command = [sys.executable, "-m", "benchmarks.systems", "engine", bootstrap, topic, str(10**12), str(partitions)]
    environment = os.environ | {"BENCH_OPTIONS": json.dumps(OPTIONS)}
    running = [subprocess.Popen([*command, group], stderr=subprocess.DEVNULL, env=environment) for _ in range(workers)]
    try:
        time.sleep(8 + 2 * workers)  # the group forms
        for process in running:
            process.send_signal(signal.SIGSTOP)
        asyncio.run(fill(bootstrap, topic, records, partitions))
        for process in running:
            process.send_signal(signal.SIGCONT)
        seconds = asyncio.run(drained(bootstrap, topic, group, partitions, records))
    finally:
        for process in running:
            process.kill()
            process.wait()
    return records / seconds


def main() -> None:
    """All cells, one table."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--records", type=int, default=2_000_000)
    given = arguments.parse_args()
    cells = []
    with broker() as bootstrap:
        for partitions in PARTITIONS:
            for workers in WORKERS:
                if workers <= partitions:
                    rate = one_cell(bootstrap, partitions, workers, given.records)
                    cells.append({"partitions": partitions, "workers": workers, "records_per_s": round(rate)})
                    print(f"{partitions} partitions, {workers} workers: {rate:>10,.0f} records/s", flush=True)
    keep("scaling", {"cells": cells})


if __name__ == "__main__":
    main()
