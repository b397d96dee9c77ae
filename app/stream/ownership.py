"""Who may write a partition's changelogs: the worker that claimed it last, by the broker's own word.

Each owned partition has a Kafka producer of its own, started with the transactional id `<app>/<partition>`. Starting
one gives it the next epoch of that id, and once a record of an epoch is in a log the broker refuses every older one
there (`ProducerFenced`). It writes no transactions: they would cost two round trips and control records that each
reader has to skip. So a worker that takes a partition over

1. reads the changelogs, and leaves them alone where they are another app's,
2. starts that producer,
3. writes a claim with it into each changelog partition, and
4. reads back up to the claim.

What an earlier owner still had under way stands before the claim and is read, or is refused. A worker that keeps a
partition claims it again with the epoch that it has: the claim stands where its next record belongs, so nobody wrote
in between, and its rows need not be read again. `docs/engine.md` has the proof.
"""

import asyncio
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import structlog
from aiokafka.errors import ProducerFenced
from faust.types import TP

from app.stream import covers, internals
from app.stream.contact import contact_of
from app.stream.errors import ForeignOwnerError, ForeignWriteError
from app.stream.producing import stop_producer

log = structlog.get_logger(__name__)

#: A producer that is let go has this long to send what it still has; what is not sent is refused soon anyway.
CLOSE_WITHIN_S = 2.0


@dataclass(frozen=True, slots=True)
class Writer:
    """The producer of one owned partition, with what the broker gave it."""

    producer: Any
    producer_id: int
    epoch: int
    #: The app whose worker this is.
    owner: str


def check_owner(tp: TP, owner: str | None, app: Any) -> None:
    """Raise `ForeignOwnerError` where a changelog partition is another app's (None: nobody's yet).

    A claim in it would end that app's workers, as theirs would end this one. What `app.predecessors` owned this app
    may have.
    """
    if owner is not None and owner != app.conf.id and owner not in predecessors_of(app):
        raise ForeignOwnerError(
            f"{tp.topic}[{tp.partition}] is a table of the app {owner!r} and this worker is one of {app.conf.id!r}: "
            "give this one topics of its own; it has written nothing, and ends"
        )


def predecessors_of(app: Any) -> frozenset[str]:
    """The apps whose tables an app has taken over by somebody's will."""
    found: frozenset[str] = getattr(app, "predecessors", frozenset())
    return found


class Claimable(Protocol):
    """What is claimed: a table, as far as this needs it."""

    def expected_offset(self, partition: int) -> int | None:
        """Where the next record of a kept partition belongs; None: nothing was written or read yet."""

    def claimed(self, partition: int, offset: int) -> None:
        """A kept partition was claimed again."""


class Ownership:
    """The writers of the partitions that this worker owns."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._writers: dict[int, Writer] = {}
        self._closing: set[asyncio.Task[None]] = set()

    def writer(self, partition: int) -> Writer | None:
        """The writer of a partition that is owned."""
        return self._writers.get(partition)

    async def keep(self, partition: int, tables: Mapping[TP, Claimable]) -> bool:
        """Claim a partition again whose rows are all here; whether they still count.

        Waits while brokers are away. Raises `KafkaError` where they refuse for another reason than a new owner.
        """
        writer = self._writers[partition]
        try:
            claims = await self._claim_all(tables, writer)
            for tp, table in tables.items():
                if claims[tp] != (expected := table.expected_offset(partition)):
                    at = f"{tp.topic}[{partition}]"
                    raise ForeignWriteError(f"{at}: the claim is at {claims[tp]}, expected {expected}")
        except (ProducerFenced, ForeignWriteError) as error:
            log.warning("partition_was_taken", partition=partition, reason=repr(error))
            self.let_go(partition)
            return False
        for tp, table in tables.items():
            table.claimed(partition, claims[tp])
        return True

    async def claim(self, partition: int, tables: Iterable[TP]) -> dict[TP, int]:
        """Claim a partition that is to be read back: where the claims stand.

        Waits while brokers are away. Raises `KafkaError` where they refuse.
        """
        writer = self._writers.get(partition)
        if writer is not None:
            # It was claimed before, and a rebalance came before it was read back.
            with suppress(ProducerFenced):
                return await self._claim_all(tables, writer)
            self.let_go(partition)
        writer = await contact_of(self._app).until_answered(partial(self._open, partition))
        self._writers[partition] = writer
        return await self._claim_all(tables, writer)

    async def _claim_all(self, tables: Iterable[TP], writer: Writer) -> dict[TP, int]:
        tps = list(tables)
        return dict(zip(tps, await asyncio.gather(*(self._claim(tp, writer) for tp in tps)), strict=True))

    async def _claim(self, tp: TP, writer: Writer) -> int:
        header = covers.encode_claim(covers.Claim(self._app.conf.id, writer.epoch, writer.producer_id))
        sent = await writer.producer.send_and_wait(
            tp.topic, key=covers.CLAIM_KEY, value=None, partition=tp.partition, headers=[header]
        )
        return int(sent.offset)

    async def _open(self, partition: int) -> Writer:
        producer = internals.new_producer(self._app, f"{self._app.conf.id}/{partition}")
        try:
            return Writer(producer, *await internals.start_fenced(producer), self._app.conf.id)
        except BaseException:
            await stop_producer(producer, CLOSE_WITHIN_S)
            raise

    def keep_only(self, partitions: Collection[int]) -> None:
        """Let go of all partitions but these."""
        for partition in self._writers.keys() - set(partitions):
            self.let_go(partition)

    def let_go(self, partition: int) -> None:
        """Close the writer of a partition that is not ours any more; what it still sends may be refused."""
        writer = self._writers.pop(partition, None)
        if writer is not None:
            task = asyncio.ensure_future(self._close(writer))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def _close(self, writer: Writer) -> None:
        await stop_producer(writer.producer, CLOSE_WITHIN_S)

    async def close(self) -> None:
        """Let all partitions go."""
        self.keep_only(())
        if self._closing:
            await asyncio.wait(set(self._closing))
