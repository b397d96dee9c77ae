"""A Faust table by partitions: which of them this worker has, and what becomes of them at a rebalance."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, TypeVar

import faust
import structlog
from faust.types import TP, EventT

from app.stream.dead_letters import DeadLetterWriter
from app.stream.errors import EngineError, UnreadableRowError
from app.stream.flushing import Flushing
from app.stream.partition import PartitionRecovery, PartitionState
from app.stream.store import PartitionedStore
from app.stream.surroundings import surroundings_of

log = structlog.get_logger(__name__)
Row = TypeVar("Row")

#: Flushes under way have this long to arrive when a partition is given up: below any session's time-out.
DRAIN_WITHIN_S = 2.0


class PartitionedTable(faust.Table, Generic[Row]):
    """The partitions of a table that this worker owns, each with its rows; `Takeover` brings them in.

    `sources` are the topics whose offsets the state covers. `encode` and `decode` turn a row into
    its public bytes and back. `on_ready(partition)` is called when a partition's rows are
    recovered, `on_lost(partition)` when they are gone.
    """

    def __init__(
        self,
        app: Any,
        *,
        name: str,
        changelog_topic: Any,
        sources: Iterable[str],
        encode: Callable[[Row], bytes],
        decode: Callable[[bytes], Row],
        dead_letters: DeadLetterWriter,
        on_ready: Callable[[int], None] | None = None,
        on_lost: Callable[[int], None] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(app, name=name, changelog_topic=changelog_topic, **options)
        self.sources = tuple(sources)
        self.encode_row, self.decode_row = encode, decode
        self.dead_letters = dead_letters
        self.on_ready, self.on_lost = on_ready, on_lost
        self.flushing = Flushing(self)
        self._store_in_use: PartitionedStore | None = None
        self.around = surroundings_of(app)
        self.observer = self.around.observer.table(name)
        #: The trace that changed a partition last, by partition; who publishes from its rows takes it away.
        self.traced: dict[int, bytes] = {}
        #: Partitions that the broker says are another worker's, until the group says so too.
        self._taken: set[int] = set()
        app.tables.add(self)
        app.on_partitions_revoked.connect(self._on_revoked, weak=False)

    @property
    def data(self) -> PartitionedStore:
        """The store."""
        if self._store_in_use is None:
            self._store_in_use = PartitionedStore(
                "memory://", self.app, self, table_name=self.name, key_type=str, value_type=bytes
            )
        return self._store_in_use

    @property
    def owned(self) -> Mapping[int, PartitionState[Row]]:
        """State of the partitions that this worker owns now, by number."""
        return self.data.partitions

    def covered(self, topic: str, partition: int) -> int | None:
        """The next offset of a source partition to fold; None where nothing of it is known."""
        state = self.data.partitions.get(partition)
        return None if state is None else state.covered.get(topic)

    def row_count(self) -> int:
        """How many rows this worker has."""
        return len(self.data)

    def flushes_under_way(self) -> int:
        """How many flushes Kafka has not acknowledged yet."""
        return self.flushing.under_way()

    async def drain(self) -> None:
        """Wait until Kafka has every flush that is under way."""
        await self.flushing.drain()

    # -- what a rebalance asks

    def is_owned(self, state: PartitionState[Any]) -> bool:
        """Whether a state is the one that counts now."""
        return self.data.partitions.get(state.partition) is state

    def is_kept(self, partition: int) -> bool:
        """Whether a partition's rows are all there and all in Kafka."""
        return partition in self.data.partitions and not self.flushing.under_way(partition)

    def expected_offset(self, partition: int) -> int | None:
        """Where the next record of a partition belongs."""
        return self.data.partitions[partition].next_changelog_offset

    def claimed(self, partition: int, offset: int) -> None:
        """A partition that was kept was claimed again: nobody wrote in between."""
        self.data.partitions[partition].next_changelog_offset = offset + 1

    def lose(self, partition: int) -> None:
        """Drop a partition's rows."""
        state = self.data.partitions.pop(partition, None)
        self.flushing.forget(partition)
        self.traced.pop(partition, None)
        if state is not None and self.on_lost is not None:
            self.on_lost(partition)

    def taken(self, state: PartitionState[Any]) -> None:
        """Another worker has a partition, which this one has not noticed: its rows are void until it has."""
        log.warning("partition_taken", table=self.name, partition=state.partition)
        self._taken.add(state.partition)
        self.lose(state.partition)

    def recovered(
        self, found: PartitionRecovery[Row], writer: Any, claim_offset: int | None = None
    ) -> PartitionState[Row]:
        """The state that was read back up to a claim. Raises `EngineError` where it cannot be had."""
        try:
            return found.finish(self.decode_row, writer, claim_offset)
        except EngineError:
            raise
        except Exception as error:
            raise UnreadableRowError(
                f"{self.changelog_topic_name}[{found.partition}] holds a row that this version cannot read ({error}); "
                "run the version that wrote it, or delete the topic to build it anew"
            ) from error

    def take_in(self, state: PartitionState[Row]) -> None:
        """A partition was taken over: this is its state."""
        self.data.partitions[state.partition] = state

    # -- what Faust calls

    async def on_start(self) -> None:
        """Start the store; topics are made beforehand and checked at start, never here."""
        await self.add_runtime_dependency(self.data)

    async def on_stop(self) -> None:
        """Leave nothing under way that can still arrive."""
        await self.flushing.drain(DRAIN_WITHIN_S)
        await super().on_stop()

    def apply_changelog_batch(self, batch: Iterable[EventT[Any]]) -> None:
        """Nothing: changelogs are read beside Faust (`Following`)."""

    async def _on_revoked(self, *_: Any, **__: Any) -> None:
        # What does not arrive in time is refused once another worker has claimed the partition, or read by it.
        await self.flushing.drain(DRAIN_WITHIN_S)

    async def on_rebalance(
        self, assigned: set[TP], revoked: set[TP], newly_assigned: set[TP], generation_id: int = 0
    ) -> None:
        """Drop what is another worker's now."""
        self._taken.clear()
        standbys = self.app.assignor.assigned_standbys()
        ours = {tp.partition for tp in assigned if tp.topic == self.changelog_topic_name and tp not in standbys}
        for partition in set(self.data.partitions) - ours:
            self.lose(partition)

    async def on_recovery_completed(self, active_tps: set[TP], standby_tps: set[TP]) -> None:
        """Nothing: `Takeover` takes partitions into use, each by itself."""
