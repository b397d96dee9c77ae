"""Who may write a partition's changelogs: the worker that claimed it last, by the broker's own word.

Each owned partition has a Kafka producer of its own, started with the transactional id `<app>/<partition>`. Starting
one gives it the next epoch of that id, and once a record of an epoch is in a log the broker refuses every older one
there (`ProducerFenced`). It writes no transactions: they would cost two round trips and control records that each
reader has to skip. So a worker that takes a partition over

1. starts that producer,
2. writes a claim with it into each changelog partition, and
3. reads back up to the claim.

What an earlier owner still had under way stands before the claim and is read, or is refused. A worker that keeps a
partition claims it again with the epoch that it has: the claim stands where its next record belongs, so nobody wrote
in between, and its rows need not be read again. `docs/engine.md` has the proof.
"""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

import structlog
from aiokafka.errors import KafkaError, ProducerFenced
from faust.types import TP

from app.stream import covers, internals
from app.stream.errors import ForeignWriteError

log = structlog.get_logger(__name__)

#: A producer that is let go has this long to send what it still has; what is not sent is refused soon anyway.
CLOSE_WITHIN_S = 2.0


@dataclass(frozen=True, slots=True)
class Writer:
    """The producer of one owned partition, with what the broker gave it."""

    producer: Any
    producer_id: int
    epoch: int


class Claimable(Protocol):
    """What is claimed: a table, as far as this needs it."""

    name: str

    @property
    def changelog_topic_name(self) -> str:
        """The topic whose partitions are claimed."""

    def is_kept(self, partition: int) -> bool:
        """Whether its rows of a partition are all there and all in Kafka."""

    def expected_offset(self, partition: int) -> int | None:
        """Where the next record of a kept partition belongs; None: nothing was written or read yet."""

    def claimed(self, partition: int, offset: int) -> None:
        """A kept partition was claimed again."""

    def lose(self, partition: int) -> None:
        """Its rows of a partition do not count any more."""

    def begin_recovery(self, partition: int, claim_offset: int) -> None:
        """A partition was taken over, and is to be read back up to its claim."""


class Ownership:
    """The writers of the partitions that this worker owns."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._writers: dict[int, Writer] = {}
        self._closing: set[asyncio.Task[None]] = set()

    def writer(self, partition: int) -> Writer | None:
        """The writer of a partition that is owned."""
        return self._writers.get(partition)

    async def take(self, tables: Iterable[tuple[TP, Claimable]]) -> dict[TP, tuple[int, bool]]:
        """Claim changelog partitions: where each claim stands, and whether its rows were kept.

        Waits while brokers are away. Raises `KafkaError` where they refuse.
        """
        by_partition: dict[int, list[tuple[TP, Claimable]]] = {}
        for tp, table in tables:
            by_partition.setdefault(tp.partition, []).append((tp, table))
        for partition in set(self._writers) - set(by_partition):
            self.let_go(partition)
        found = await asyncio.gather(*(self._take(partition, each) for partition, each in by_partition.items()))
        return {tp: claim for claims in found for tp, claim in claims.items()}

    async def _take(self, partition: int, tables: list[tuple[TP, Claimable]]) -> dict[TP, tuple[int, bool]]:
        writer = self._writers.get(partition)
        if writer is not None and all(table.is_kept(partition) for _, table in tables):
            try:
                return await self._claim_again(partition, writer, tables)
            except (ProducerFenced, ForeignWriteError) as error:
                log.warning("partition_was_taken", partition=partition, reason=repr(error))
        for _, table in tables:
            table.lose(partition)
        self.let_go(partition)
        writer = self._writers[partition] = await self._open(partition)
        claims = {}
        for tp, table in tables:
            offset = await self._claim(tp, writer)
            table.begin_recovery(partition, offset)
            claims[tp] = offset, False
        return claims

    async def _claim_again(
        self, partition: int, writer: Writer, tables: list[tuple[TP, Claimable]]
    ) -> dict[TP, tuple[int, bool]]:
        claims = {}
        for tp, table in tables:
            offset, expected = await self._claim(tp, writer), table.expected_offset(partition)
            if offset != expected:
                raise ForeignWriteError(f"{tp.topic}[{partition}]: the claim is at {offset}, expected {expected}")
            claims[tp] = offset, True
        for tp, table in tables:
            table.claimed(partition, claims[tp][0])
        return claims

    async def _claim(self, tp: TP, writer: Writer) -> int:
        header = covers.encode_claim(covers.Claim(self._app.conf.id, writer.epoch, writer.producer_id))
        sent = await writer.producer.send_and_wait(
            tp.topic, key=covers.CLAIM_KEY, value=None, partition=tp.partition, headers=[header]
        )
        return int(sent.offset)

    async def _open(self, partition: int) -> Writer:
        producer = internals.new_producer(self._app, f"{self._app.conf.id}/{partition}")
        try:
            return Writer(producer, *await internals.start_fenced(producer))
        except BaseException:
            await producer.stop()
            raise

    def let_go(self, partition: int) -> None:
        """Close the writer of a partition that is not ours any more; what it still sends may be refused."""
        writer = self._writers.pop(partition, None)
        if writer is not None:
            task = asyncio.ensure_future(self._close(writer))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def _close(self, writer: Writer) -> None:
        with suppress(KafkaError, TimeoutError):
            await asyncio.wait_for(writer.producer.stop(), CLOSE_WITHIN_S)

    async def close(self) -> None:
        """Let all partitions go."""
        for partition in list(self._writers):
            self.let_go(partition)
        if self._closing:
            await asyncio.wait(set(self._closing))
