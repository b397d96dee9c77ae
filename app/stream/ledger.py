"""Which stretches of each partition were delivered, and which of them are done.

Faust's own bookkeeping counts single offsets and takes what follows a gap for acknowledged before
it was processed. A batch is one entry here, so gaps (compaction, transaction markers) are inside
entries or between them and cannot hold up a commit, and a commit reaches the end of the last batch.
"""

from collections import deque
from collections.abc import Iterator

from faust.types import TP


class _Stretch:
    __slots__ = ("done", "next_offset")

    def __init__(self, next_offset: int) -> None:
        self.next_offset = next_offset
        self.done = False


class Ledger:
    """Delivered stretches by partition, in the order of delivery."""

    def __init__(self) -> None:
        self._delivered: dict[TP, deque[_Stretch]] = {}
        self._committable: dict[TP, int] = {}

    def deliver(self, tp: TP, next_offset: int) -> _Stretch:
        """Note that everything before `next_offset` was handed to the stream."""
        stretch = _Stretch(next_offset)
        self._delivered.setdefault(tp, deque()).append(stretch)
        return stretch

    def acknowledge(self, tp: TP, stretch: _Stretch) -> None:
        """Note that a stretch is processed, its writes acknowledged; order does not matter."""
        stretch.done = True
        waiting = self._delivered.get(tp)
        while waiting and waiting[0].done:
            self._committable[tp] = waiting.popleft().next_offset

    def acknowledge_end(self, tp: TP, next_offset: int) -> None:
        """Acknowledge the stretch that ends before `next_offset`; one that is not known is ignored."""
        for stretch in self._delivered.get(tp, ()):
            if stretch.next_offset == next_offset:
                self.acknowledge(tp, stretch)
                return

    def committable(self, tp: TP) -> int | None:
        """The offset up to which everything is processed, None where nothing is known."""
        return self._committable.get(tp)

    def resume(self, tp: TP, offset: int) -> None:
        """Note that everything before `offset` is processed: a partition is read from there.

        Another worker may have processed it and not committed; what is idle from now on is committed all the same.
        """
        self.forget(tp)
        self._committable[tp] = offset

    def forget(self, tp: TP) -> None:
        """Forget a partition: it is revoked, or will be read from another place."""
        self._delivered.pop(tp, None)
        self._committable.pop(tp, None)

    def __iter__(self) -> Iterator[TP]:
        return iter(list(self._committable))
