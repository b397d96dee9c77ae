"""Whether a worker grows: its memory while it folds an hour's worth of records at full speed.

    python -m benchmarks.memory [--records 36000000] [--minutes 10]

A second process appends the same 100,000 aggregates over and over, never more than two million ahead;
old segments are deleted behind the worker. Growth is counted from the end of the warm-up (the first
tenth of the time) to the end; it ends with whichever comes first, the records or the minutes.
"""

import argparse
import asyncio
import random
import subprocess
import sys
import time
import uuid

import psutil
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from benchmarks.broker import SYMBOLS, aggregate, broker, create_topics
from benchmarks.record import keep

AHEAD, PARTITIONS, LOOP, STEP = 2_000_000, 4, 100_000, 4_000
SAMPLE_S = 5.0


async def source_topic(bootstrap: str, topic: str) -> None:
    """A topic that keeps a gigabyte."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    kept = {"segment.bytes": str(32 * 2**20), "retention.bytes": str(256 * 2**20), "max.message.bytes": "16777216"}
    await admin.create_topics([NewTopic(topic, PARTITIONS, 1, topic_configs=kept)])
    await admin.close()


async def load(bootstrap: str, topic: str, group: str, records: int) -> None:
    """Append the loop until `records` were appended, waiting where the group is far behind."""
    chance = random.Random(1)
    drawn = [(index := chance.randrange(SYMBOLS), aggregate(chance, f"S{index:04d}", n)) for n in range(LOOP)]
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, compression_type="lz4", max_batch_size=2**20)
    reader = AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False)
    await producer.start()
    await reader.start()
    sent = 0
    while sent < records:
        for start in range(0, LOOP, STEP):
            batches = [producer.create_batch() for _ in range(PARTITIONS)]
            for index, value in drawn[start : start + STEP]:
                batches[index % PARTITIONS].append(key=b"S%04d" % index, value=value, timestamp=None)
            await asyncio.gather(
                *[await producer.send_batch(batch, topic, partition=at) for at, batch in enumerate(batches)]
            )
        sent += LOOP
        while sent - await committed(reader, topic) > AHEAD:
            await asyncio.sleep(0.1)
    await producer.stop()
    await reader.stop()


async def committed(reader: AIOKafkaConsumer, topic: str) -> int:
    """Records of the topic that the reader's group has committed."""
    return sum([await reader.committed(TopicPartition(topic, at)) or 0 for at in range(PARTITIONS)])


async def watch(
    bootstrap: str, topic: str, group: str, worker: psutil.Process, records: int, seconds: float
) -> list[tuple[float, int, float]]:
    """Samples of (seconds, records, resident MB), one every five seconds."""
    reader = AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False)
    await reader.start()
    samples: list[tuple[float, int, float]] = []
    started, done = time.monotonic(), 0
    while (elapsed := time.monotonic() - started) < seconds and done < records:
        await asyncio.sleep(SAMPLE_S)
        done = await committed(reader, topic)
        samples.append((elapsed, done, worker.memory_info().rss / 2**20))
        if len(samples) % 6 == 0:
            print(f"{elapsed:5.0f} s  {done:>12,} records  {samples[-1][2]:7.1f} MB", flush=True)
    await reader.stop()
    return samples


def main() -> None:
    """One run."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--records", type=int, default=36_000_000)
    arguments.add_argument("--minutes", type=float, default=10.0)
    arguments.add_argument("--load", nargs=3, metavar=("BOOTSTRAP", "TOPIC", "GROUP"), help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.load:
        asyncio.run(load(*given.load, given.records))
        return
    with broker() as bootstrap:
        topic = group = f"memory-{uuid.uuid4().hex[:6]}"
        asyncio.run(source_topic(bootstrap, topic))
        asyncio.run(create_topics(bootstrap, [f"{group}-changelog", f"{group}-dead"], PARTITIONS))
        engine = [sys.executable, "-m", "benchmarks.systems", "engine", bootstrap, topic, str(10**12), str(PARTITIONS)]
        worker = subprocess.Popen([*engine, group], stderr=subprocess.DEVNULL)
        loading = [sys.executable, "-m", "benchmarks.memory", "--load", bootstrap, topic, group]
        loader = subprocess.Popen([*loading, "--records", str(given.records)])
        try:
            watched = psutil.Process(worker.pid)
            samples = asyncio.run(watch(bootstrap, topic, group, watched, given.records, given.minutes * 60))
        finally:
            for process in (loader, worker):
                process.kill()
                process.wait()
    warm = samples[len(samples) // 10]
    seconds, records, end_mb = samples[-1]
    growth = end_mb - warm[2]
    result = {
        "records": records, "seconds": round(seconds), "warm_mb": round(warm[2], 1), "end_mb": round(end_mb, 1),
        "peak_mb": round(max(sample[2] for sample in samples), 1), "growth_mb": round(growth, 1),
    }  # fmt: skip
    keep("memory", result)
    print(
        f"{records:,} records in {seconds:.0f} s: {warm[2]:.1f} MB warm, {end_mb:.1f} MB at the end: {growth:+.1f} MB"
    )


if __name__ == "__main__":
    main()
