"""From append to changelog at 10,000 records/s on one worker: p50, p99, p99.9.

    python -m benchmarks.latency

Each record carries the time of its append; a reader of the changelog compares it with its own
clock, so the figures include the reading. Runs of the load itself are paced every 5 ms.
"""

import argparse
import asyncio
import subprocess
import sys
import time
import uuid

import msgspec
import numpy as np
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from benchmarks.broker import SYMBOLS, broker, create_topics
from benchmarks.record import keep

STEP_S = 0.005


async def load(bootstrap: str, topic: str, rate: int, seconds: float, partitions: int) -> None:
    """Append at a steady rate."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, max_batch_size=1024 * 1024)
    await producer.start()
    started, sent = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - started) < seconds:
        due = int(elapsed * rate)
        batches = [producer.create_batch() for _ in range(partitions)]
        now = time.time_ns()
        for number in range(sent, due):
            index = number * 7919 % SYMBOLS
            value = b'{"ev":"A","sym":"S%04d","v":100,"c":25.5,"e":%d}' % (index, now)
            batches[index % partitions].append(key=b"S%04d" % index, value=value, timestamp=None)
        for at, batch in enumerate(batches):
            if batch.record_count():
                await producer.send_batch(batch, topic, partition=at)
        sent = due
        await asyncio.sleep(STEP_S)
    await producer.stop()


async def read(bootstrap: str, topic: str, seconds: float, partitions: int) -> list[float]:
    """Latencies in ms of what arrives, the first two seconds left out."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, fetch_max_wait_ms=20)
    await consumer.start()
    consumer.assign([TopicPartition(topic, at) for at in range(partitions)])
    started, found = time.perf_counter(), []
    while (elapsed := time.perf_counter() - started) < seconds:
        for records in (await consumer.getmany(timeout_ms=100)).values():
            now = time.time_ns()
            if elapsed > 2:
                found.extend((now - msgspec.json.decode(record.value)["e"]) / 1e6 for record in records)
    await consumer.stop()
    return found


def main() -> None:
    """Rounds of a worker, the load and the reader."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rate", type=int, default=10_000)
    arguments.add_argument("--seconds", type=float, default=15.0)
    arguments.add_argument("--partitions", type=int, default=4)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--load", nargs=2, metavar=("BOOTSTRAP", "TOPIC"), help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.load:
        asyncio.run(load(*given.load, given.rate, given.seconds, given.partitions))
        return
    with broker() as bootstrap:
        print("warming the broker up, not counted", flush=True)
        one_round(bootstrap, given.rate, given.seconds, given.partitions)
        rounds = [one_round(bootstrap, given.rate, given.seconds, given.partitions) for _ in range(given.rounds)]
    percentiles = {
        f"p{q:g}_ms".replace(".", ""): [round(float(np.percentile(found, q)), 2) for found in rounds]
        for q in (50, 99, 99.9)
    }
    result = {"rate_per_s": given.rate, "rows": [len(found) for found in rounds], **percentiles}
    keep("latency", result)


def one_round(bootstrap: str, rate: int, seconds: float, partitions: int) -> list[float]:
    """Latencies in ms of one worker under the load."""
    topic = group = f"latency-{uuid.uuid4().hex[:6]}"
    asyncio.run(create_topics(bootstrap, [topic, f"{group}-changelog", f"{group}-dead"], partitions))
    command = [sys.executable, "-m", "benchmarks.systems", "engine", bootstrap, topic, str(10**9)]
    running = subprocess.Popen([*command, str(partitions), group], stderr=subprocess.DEVNULL)
    time.sleep(5)
    options = ["--rate", str(rate), "--seconds", f"{seconds + 2}"]
    loading = subprocess.Popen([sys.executable, "-m", "benchmarks.latency", "--load", bootstrap, topic, *options])
    found = asyncio.run(read(bootstrap, f"{group}-changelog", seconds, partitions))
    for process in (loading, running):
        process.kill()
        process.wait()
    p50, p99, p999 = (float(np.percentile(found, q)) for q in (50, 99, 99.9))
    print(f"{rate:,} records/s: p50 {p50:.1f} ms, p99 {p99:.1f} ms, p99.9 {p999:.1f} ms over {len(found):,} rows")
    return found


if __name__ == "__main__":
    main()
