"""Real workers on a real broker, held while a block of the market is appended and let go to be measured."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    NotCoordinatorForGroupError,
)

from app.kafka import topics
from app.kafka.admin import ensure_topics
from producers.publisher import Publisher
from producers.routing import Routed, route_event

#: The group of the workers.
GROUP = "tapereader"
#: A block that is not done within this time has failed.
DONE_WITHIN_S = 120.0
#: The topics whose last append tells when a block was done.
WRITTEN = (
    topics.MARKET_QUOTES, topics.NBBO, topics.MARKET_HALTS, topics.DAILY_RANGES, topics.TRADE_TAPE,
)  # fmt: skip


async def publish(bootstrap: str, events: list[bytes]) -> None:
    """Append events to their raw topics, as the producer does."""
    async with Publisher(bootstrap) as publisher:
        for start in range(0, len(events), 5000):
            routed = [route_event(event) for event in events[start : start + 5000]]
            now_ns = time.time_ns()
            await publisher.publish((each, now_ns) for each in routed if isinstance(each, Routed))


class RealWorkers:
    """Processes of `tapereader worker`; each block is what they do between `go` and the last append."""

    def __init__(self, bootstrap: str, partitions: int, logs: Path, **settings: str) -> None:
        self.bootstrap, self.partitions, self._logs = bootstrap, partitions, logs
        self._environment = os.environ | {
            "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
            "TAPEREADER_PARTITIONS": str(partitions),
            "TAPEREADER_APP_ID": GROUP,
            # They are held while a block is appended; nobody is to be thrown out for that.
            "TAPEREADER_SESSION_TIMEOUT_MS": "30000",
            "TAPEREADER_STALL_TIMEOUT_S": "300",
            **{f"TAPEREADER_{name.upper()}": value for name, value in settings.items()},
        }
        self._running: list[subprocess.Popen[bytes]] = []
        self._admin: Any = None
        self._consumer: Any = None

    async def __aenter__(self) -> "RealWorkers":
        await ensure_topics(self.bootstrap, topics.ALL_TOPICS, self.partitions)
        self._admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        self._consumer = AIOKafkaConsumer(bootstrap_servers=self.bootstrap, enable_auto_commit=False)
        await self._admin.start()
        await self._consumer.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        for process in self._running:
            process.kill()
        for process in self._running:
            process.wait()
        await self._consumer.stop()
        await self._admin.close()

    def start(self, count: int) -> None:
        """Start so many; their logs are kept beside each other."""
        for number in range(count):
            with (self._logs / f"worker-{number}.log").open("wb") as log:
                self._running.append(
                    subprocess.Popen(
                        [sys.executable, "-m", "app", "worker"], env=self._environment, stdout=log, stderr=log
                    )
                )

    async def block(self, events: list[bytes]) -> dict[str, float]:
        """Append events while the workers are held, then let them go: records, wall and CPU seconds of all."""
        self._signal(signal.SIGSTOP)
        await publish(self.bootstrap, events)
        cpu_s, began_s = self._cpu_s(), time.time()
        self._signal(signal.SIGCONT)
        await self.done()
        return {
            "records": len(events),
            "wall_s": await self._last_append_s() - began_s,
            "cpu_s": self._cpu_s() - cpu_s,
            "peak_memory_mb": self._memory_mb(),
        }

    async def done(self, raw: tuple[topics.TopicSpec, ...] = topics.RAW_TOPICS[:4]) -> None:
        """Wait until everything in the raw topics is counted. Raises `TimeoutError`, `RuntimeError`: a worker ended."""
        places = [TopicPartition(spec.name, number) for spec in raw for number in range(self.partitions)]
        ends = await self._consumer.end_offsets(places)
        async with asyncio.timeout(DONE_WITHIN_S):
            while not await self._committed(ends):
                for number, process in enumerate(self._running):
                    if process.poll() is not None:
                        last = (self._logs / f"worker-{number}.log").read_text(errors="replace")[-2000:]
                        raise RuntimeError(f"worker {number} ended with {process.returncode}: {last}")
                await asyncio.sleep(0.25)

    async def _committed(self, ends: Mapping[TopicPartition, int]) -> bool:
        try:
            found = await self._admin.list_consumer_group_offsets(GROUP)
        except (GroupCoordinatorNotAvailableError, GroupLoadInProgressError, NotCoordinatorForGroupError):
            return False  # the group is being made, or has moved
        return all(end == 0 or (place in found and found[place].offset >= end) for place, end in ends.items())

    async def _last_append_s(self) -> float:
        """When the last record of the tables was appended, by the clock of its worker (Unix epoch)."""
        places = [TopicPartition(spec.name, number) for spec in WRITTEN for number in range(self.partitions)]
        ends = await self._consumer.end_offsets(places)
        last = [place for place in places if ends[place]]
        self._consumer.assign(last)
        for place in last:
            # The position before the end may be of a control record in the future; none is written here.
            self._consumer.seek(place, ends[place] - 1)
        newest_ms = 0
        async with asyncio.timeout(60):
            while last:
                for place, records in (await self._consumer.getmany(timeout_ms=500)).items():
                    newest_ms = max(newest_ms, *(record.timestamp for record in records))
                    if place in last:
                        last.remove(place)
        self._consumer.unsubscribe()
        return newest_ms / 1000

    def _signal(self, number: int) -> None:
        for process in self._running:
            process.send_signal(number)

    def _cpu_s(self) -> float:
        times = [psutil.Process(process.pid).cpu_times() for process in self._running]
        return sum(each.user + each.system for each in times)

    def _memory_mb(self) -> float:
        return sum(psutil.Process(process.pid).memory_info().rss for process in self._running) / 2**20


@asynccontextmanager
async def real_workers(
    bootstrap: str, count: int, partitions: int, logs: Path, **settings: str
) -> AsyncIterator[RealWorkers]:
    """Workers that are started; they are waited for by the first `done`."""
    async with RealWorkers(bootstrap, partitions, logs, **settings) as workers:
        workers.start(count)
        yield workers
