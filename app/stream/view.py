"""What a fold sees of a partition: its rows, with the changes of this fold on top."""

from collections.abc import Iterator, Mapping
from typing import Generic, TypeVar

Row = TypeVar("Row")


class PartitionView(Generic[Row]):
    """Rows of one partition by key. Rows are values: a change is a new row under its key.

    What a fold does here counts only once it has returned, so that one that raises leaves nothing
    behind.
    """

    __slots__ = ("_rows", "announcements", "changes", "partition")

    def __init__(self, partition: int, rows: Mapping[str, Row]) -> None:
        self.partition = partition
        self._rows = rows
        #: Changed rows by key, None for a deleted one.
        self.changes: dict[str, Row | None] = {}
        #: What the fold has to say to another topic, before its changes are written.
        self.announcements: list[tuple[bytes, bytes]] = []

    def get(self, key: str) -> Row | None:
        """The row of a key, None where there is none."""
        if key in self.changes:
            return self.changes[key]
        return self._rows.get(key)

    def __setitem__(self, key: str, row: Row) -> None:
        self.changes[key] = row

    def __delitem__(self, key: str) -> None:
        self.changes[key] = None

    def __contains__(self, key: str) -> bool:
        return self.get(key) is not None

    def keys(self) -> Iterator[str]:
        """The keys of the partition, those that this fold added too."""
        for key in self._rows:
            if self.changes.get(key, True) is not None:
                yield key
        for key, row in self.changes.items():
            if row is not None and key not in self._rows:
                yield key
