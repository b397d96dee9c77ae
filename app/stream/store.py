"""The table's store: rows by partition, so that a lost partition takes its rows along at once."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from faust.stores import base
from faust.types import TP, EventT

from app.stream.partition import PartitionState


class PartitionedStore(base.Store):
    """Rows in memory, one dictionary per owned partition."""

    def __post_init__(self) -> None:
        self.partitions: dict[int, PartitionState[Any]] = {}

    def __getitem__(self, key: Any) -> Any:
        for state in self.partitions.values():
            if key in state.rows:
                return state.rows[key]
        raise KeyError(key)

    def __setitem__(self, key: Any, value: Any) -> None:
        raise TypeError("rows of a batched table are changed by BatchedTable.fold or .write only")

    def __delitem__(self, key: Any) -> None:
        raise TypeError("rows of a batched table are changed by BatchedTable.fold or .write only")

    def __iter__(self) -> Iterator[Any]:
        for state in self.partitions.values():
            yield from state.rows

    def __len__(self) -> int:
        return sum(len(state.rows) for state in self.partitions.values())

    def _clear(self) -> None:
        self.partitions.clear()

    def apply_changelog_batch(
        self, batch: Iterable[EventT[Any]], to_key: Callable[..., Any], to_value: Callable[..., Any]
    ) -> None:
        """Nothing: changelogs are read beside Faust (`Following`)."""

    def persisted_offset(self, tp: TP) -> int | None:
        """Always None: memory keeps nothing over a restart."""
        return None

    def reset_state(self) -> None:
        """Forget all rows."""
        self._clear()

    async def backup_partition(self, tp: TP | int, flush: bool = True, purge: bool = False, keep: int = 1) -> None:
        """Nothing to back up: the changelog is the backup."""

    def restore_backup(self, tp: TP | int, latest: bool = True, backup_id: int = 0) -> None:
        """Nothing to restore from: the changelog is the backup."""
