"""What a rebalance asks of a worker: partitions that it keeps go on at once, those that it gains are taken over.

Kept ones are claimed again, which is one record, and go on where they are. Each gained one is claimed, read back up to
its claim and let go by itself, beside the others. Until then its sources are held (`pending`): nothing of them is
read. Of partitions that it stands by for a worker follows the changelogs, so that a takeover reads their last records.
"""

import asyncio
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import structlog
from faust.types import TP

from app.stream.contact import contact_of
from app.stream.failing import fail, failure_of
from app.stream.following import Following
from app.stream.ownership import Ownership, check_owner
from app.stream.sources import check_sources
from app.stream.topic_ids import ids_of_all

log = structlog.get_logger(__name__)

#: A partition's tables with their changelog partitions.
Tables = dict[TP, Any]


class Takeover:
    """The partitions of this worker's batched tables, from a rebalance to their first fold."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self.ownership = Ownership(app)
        self.following = Following(app, self._is_working)
        #: Partitions whose sources are held, since they are not taken over yet. Another thread reads it: a new value
        #: takes the place of the old one.
        self.pending: frozenset[int] = frozenset()
        self._assigned: dict[int, Tables] = {}
        self._standbys: set[TP] = set()
        self._tasks: dict[int, asyncio.Task[None]] = {}
        #: Up to which record each changelog is read back: its last one, then the claim.
        self._targets: dict[TP, int] = {}
        self._keeping: asyncio.Task[None] | None = None

    @property
    def standbys(self) -> frozenset[TP]:
        """The changelog partitions that this worker follows and does not own."""
        return frozenset(self._standbys)

    def _is_working(self) -> bool:
        return len(self._assigned) > len(self.pending)

    def remaining(self) -> int:
        """Records of changelogs still to be read back, as far as it is known where they end."""
        left = [
            offset + 1 - (self.following.found(tp).next_offset or 0)
            for tp, offset in self._targets.items()
            if tp in self.following
        ]
        return sum(records for records in left if records > 0)

    def read(self, partition: int) -> int:
        """Up to which offsets the changelogs of a pending partition were read, as one number that only grows."""
        tps = self._assigned.get(partition, {})
        return sum(self.following.found(tp).next_offset or 0 for tp in tps if tp in self.following)

    def assign(self, actives: Mapping[TP, Any], standbys: Iterable[TP]) -> None:
        """The group has spoken: own these changelog partitions from now on, and stand by for those."""
        for task in self._tasks.values():
            task.cancel()
        self._tasks.clear()
        self._targets.clear()
        self._assigned = {}
        for tp, table in actives.items():
            self._assigned.setdefault(tp.partition, {})[tp] = table
        self._standbys = set(standbys) - actives.keys()
        self.pending = frozenset(self._assigned)
        self.ownership.keep_only(self._assigned)

    async def keep(self) -> None:
        """Claim again what is still whole here. It goes on as soon as the sources flow; the rest is pending."""
        while self._keeping is not None and not self._keeping.done():
            # Claims of a rebalance before this one are still on their way: where they stand has to be known.
            await asyncio.wait({self._keeping})
        self._keeping = asyncio.ensure_future(self._keep_all(dict(self._assigned)))
        await asyncio.shield(self._keeping)

    async def _keep_all(self, assigned: dict[int, Tables]) -> None:
        whole = [partition for partition, tables in assigned.items() if self._is_whole(partition, tables)]
        kept = await asyncio.gather(*(self.ownership.keep(partition, assigned[partition]) for partition in whole))
        found = {partition for partition, is_kept in zip(whole, kept, strict=True) if is_kept}
        for partition, tables in assigned.items():
            if partition not in found:
                for table in tables.values():
                    table.lose(partition)
        await self._check({partition: assigned[partition] for partition in found})
        if assigned == self._assigned:
            self.pending = frozenset(assigned.keys() - found)

    def _is_whole(self, partition: int, tables: Tables) -> bool:
        return self.ownership.writer(partition) is not None and all(t.is_kept(partition) for t in tables.values())

    async def _check(self, assigned: dict[int, Tables]) -> None:
        """Look whether the sources of kept partitions are still those that were folded."""
        if not assigned:
            return
        everything = [(partition, table) for partition, tables in assigned.items() for table in tables.values()]
        ends, ids = await self._sources(everything)
        for partition, table in everything:
            if partition in table.owned:
                check_sources(table.owned[partition], table.sources, ends, ids)

    def begin(self) -> None:
        """Take over what is pending, each partition by itself; returns at once."""
        self._follow()
        for partition in self.pending:
            task = asyncio.ensure_future(self._take_over_or_fail(partition))
            self._tasks[partition] = task

    def _follow(self) -> None:
        pending = {tp for partition in self.pending for tp in self._assigned.get(partition, ())}
        self.following.follow(pending | self._standbys)

    async def _take_over_or_fail(self, partition: int) -> None:
        try:
            await self.take_over(partition)
            await self._app.consumer.begin_where_tables_are(partition)
            self._done(partition)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            # A rebalance that came meanwhile has cancelled this: the error is of a partition that is still ours.
            fail(self._app, error)

    def _done(self, partition: int) -> None:
        self._tasks.pop(partition, None)
        self.pending = self.pending - {partition}
        self._follow()

    async def take_over(self, partition: int) -> None:
        """Claim a partition, read it back, take it into use.

        Raises `EngineError` where it cannot be read, or is another app's: that one's workers are not disturbed then.
        """
        tables, clock = self._assigned[partition], asyncio.get_running_loop()
        began_s = clock.time()
        already = {tp: self.following.found(tp).records for tp in tables}
        ends = await self.following.ends(tables)
        self._targets |= {tp: end - 1 for tp, end in ends.items()}
        for tp, end in ends.items():
            check_owner(tp, (await self.following.read_to(tp, end)).owner, self._app)
        claims = await self.ownership.claim(partition, tables)
        self._targets |= claims
        for tp, offset in claims.items():
            await self.following.reached(tp, offset)
        source_ends, ids = await self._sources([(partition, table) for table in tables.values()])
        if failure_of(self._app) is not None:
            return
        writer = self.ownership.writer(partition)
        states = {}
        for tp, table in tables.items():
            await asyncio.sleep(0)  # Rows are decoded: what goes on beside it has its turn.
            states[tp] = table.recovered(self.following.found(tp), writer, claims[tp])
            check_sources(states[tp], table.sources, source_ends, ids)
        # All tables or none: nothing is awaited from here to the last one.
        for tp, table in tables.items():
            table.take_in(states[tp])
            table.observer.recovered(partition, self.following.found(tp).records - already[tp])
        for tp, table in tables.items():
            self._targets.pop(tp, None)
            if table.on_ready is not None:
                table.on_ready(partition)
        log.info(
            "partition_taken_over", partition=partition, seconds=round(clock.time() - began_s, 3),
            read=sum(self.following.found(tp).records - already[tp] for tp in tables),
        )  # fmt: skip
        for tp, table in tables.items():
            if self.following.found(tp).covers_fade:
                await table.renew_covers(partition)

    async def _sources(self, tables: list[tuple[int, Any]]) -> tuple[Mapping[TP, int], Mapping[str, str]]:
        """Where the source partitions end, and the ids of their topics."""
        consumer = self._app.consumer
        wanted = {TP(topic, partition) for partition, table in tables for topic in table.sources}
        wanted &= {TP(*tp) for tp in consumer.assignment()}
        ends = await consumer.highwaters(*wanted) if wanted else {}
        writers = [self.ownership.writer(partition) for partition, _ in tables]
        client = next((writer.producer.client for writer in writers if writer is not None), None)
        topics = {topic for _, table in tables for topic in table.sources}
        if client is None:
            return ends, {}
        return ends, await contact_of(self._app).until_answered(partial(ids_of_all, client, topics))

    async def close(self) -> None:
        """Stop what is under way, let all partitions go."""
        self.assign({}, ())
        await self.following.close()
        await self.ownership.close()
