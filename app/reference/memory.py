"""The layer in front of Redis: the answers a process used last, bounded, good for a short time.

An entry outlives its time: it is then no longer served as fresh, but it is what there is when Redis
is down. Invalidations come over Redis.
"""

from collections import OrderedDict
from typing import Any

from msgspec import Struct

from app.reference.records import Answer


class Entry(Struct, gc=False):
    """An answer, until when it is served (monotonic seconds), and when the value was fetched."""

    answer: Answer[Any]
    until_s: float
    fetched_s: float | None


class Memory:
    """Least-recently-used answers by Redis key; holds at most `entries` of them."""

    def __init__(self, entries: int) -> None:
        self._entries, self._limit = OrderedDict[str, Entry](), entries

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: str, now_s: float) -> Entry | None:
        """The entry where it is still good."""
        entry = self._entries.get(key)
        if entry is None or entry.until_s <= now_s:
            return None
        self._entries.move_to_end(key)
        return entry

    def last(self, key: str) -> Entry | None:
        """The entry however old it is."""
        return self._entries.get(key)

    def put(self, key: str, entry: Entry) -> None:
        """Keep an entry; the one that was not used for longest goes where there are too many."""
        if not self._limit:
            return
        self._entries[key] = entry
        self._entries.move_to_end(key)
        if len(self._entries) > self._limit:
            self._entries.popitem(last=False)

    def invalidate(self, key: str) -> None:
        """The value in Redis was written or deleted: what is here is not good any more."""
        self._entries.pop(key, None)

    def expire_all(self) -> None:
        """Invalidations may have been missed: nothing is fresh, but all is kept for an outage."""
        for entry in self._entries.values():
            entry.until_s = 0.0
