"""What the partitions hand over to the one place where all are merged: each item once, when it has changed.

A partition's first hand-over has all of its items, later ones what changed; now and then it begins anew, for a
merger that was not there before. Hand-overs stand in a log in the order in which they were sent. More than one
process may have sent those of a partition: who takes it over begins anew, and one that has lost it without noticing
may still send.
"""

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final, Generic, Protocol, TypeVar

from msgspec import Struct

Item = TypeVar("Item")

#: A sender of an older generation counts again when the newer one has been silent for so long (ns). The newer one
#: begins anew three times in it; generations begin at 1 again when a consumer group was deleted.
SILENT_NS: Final = 30 * 10**9


class HandOver(Struct, Generic[Item], frozen=True, array_like=True):
    """Items of a partition by key; None is one that is gone.

    `generation` is the consumer group's, in which the sender had the partition. Numbers rise by one with each of a
    sender's hand-overs; a `whole` one has all items, others what changed since the one before. `published_ns` is the
    sender's clock, epoch ns.
    """

    partition: int
    generation: int
    number: int
    whole: bool
    published_ns: int
    items: dict[str, Item | None]


class HandingOver(Generic[Item]):
    """The sender's side for one partition: what it has handed over already.

    `first` is its first number: the time (ns) makes two senders' numbers differ.
    """

    def __init__(self, partition: int, first: int = 0) -> None:
        self.partition = partition
        self._known: dict[str, Item] = {}
        self._next = first
        self._whole = True

    def begin_anew(self) -> None:
        """Hand everything over with the next call of `take`."""
        self._whole = True

    def take(self, items: Mapping[str, Item], generation: int, now_ns: int) -> HandOver[Item] | None:
        """What to send of a partition's present items; None where nothing has changed."""
        changes: dict[str, Item | None]
        if self._whole:
            changes = dict(items)
        else:
            known = self._known.get
            changes = {
                key: item
                for key, item in items.items()
                if (before := known(key)) is not item and (before is None or before != item)
            }
            if len(items) < len(self._known) + len(changes):
                changes.update(dict.fromkeys(self._known.keys() - items.keys()))
            if not changes:
                return None
        found = HandOver(self.partition, generation, self._next, self._whole, now_ns, changes)
        self._known, self._next, self._whole = dict(items), self._next + 1, False
        return found


class _Heard(Generic[Item]):
    """What is known of a partition."""

    __slots__ = ("generation", "items", "number", "published_ns")

    def __init__(self, found: HandOver[Item]) -> None:
        self.generation, self.number, self.published_ns = found.generation, found.number, found.published_ns
        self.items = {key: item for key, item in found.items.items() if item is not None}


class Merged(Generic[Item]):
    """The items of all partitions, from their hand-overs in the log's order.

    A partition counts from its first whole hand-over on. A hand-over is left out when it is too old (its sender's
    generation is, or its number was heard already), and when one before it was lost: the partition stays as it was
    then, until it begins anew.
    """

    def __init__(self, partitions: int) -> None:
        self._partitions = partitions
        self._heard: dict[int, _Heard[Item]] = {}
        #: Partitions of which a hand-over was lost, until they begin anew.
        self.lost: set[int] = set()

    @property
    def complete(self) -> bool:
        """Whether every partition was heard of."""
        return len(self._heard) >= self._partitions

    @property
    def heard(self) -> frozenset[int]:
        """The partitions that were heard of."""
        return frozenset(self._heard)

    def items(self) -> dict[str, Item]:
        """All items by key; a key is of one partition."""
        found: dict[str, Item] = {}
        for heard in self._heard.values():
            found |= heard.items
        return found

    def take(self, found: HandOver[Item]) -> dict[str, Item | None]:
        """Take in the log's next hand-over; the items that it changes, None for one that is gone."""
        heard = self._heard.get(found.partition)
        if found.whole:
            return self._begin(found, heard)
        if heard is None or found.generation != heard.generation or found.number <= heard.number:
            return {}
        if found.partition in self.lost or found.number > heard.number + 1:
            self.lost.add(found.partition)
            return {}
        heard.number, heard.published_ns = found.number, found.published_ns
        for key, item in found.items.items():
            if item is None:
                heard.items.pop(key, None)
            else:
                heard.items[key] = item
        return found.items

    def _begin(self, found: HandOver[Item], heard: _Heard[Item] | None) -> dict[str, Item | None]:
        if heard is None:
            changes: dict[str, Item | None] = dict(found.items)
        elif found.generation < heard.generation and found.published_ns < heard.published_ns + SILENT_NS:
            return {}
        else:
            changes = dict.fromkeys(heard.items.keys() - found.items.keys())
            changes |= {key: item for key, item in found.items.items() if heard.items.get(key) != item}
        self._heard[found.partition] = _Heard(found)
        self.lost.discard(found.partition)
        return changes


class Merging(Protocol):
    """Whatever is put together of all partitions' items."""

    @property
    def complete(self) -> bool:
        """Whether every partition was heard of."""

    def take(self, found: Any) -> object:
        """Take in the log's next hand-over."""


#: So many hand-overs are kept for a place that is not here yet: each partition's first, and some seconds of others.
MOST_EARLY: Final = 1_000

Merge = TypeVar("Merge", bound=Merging)


class MergePlace(Generic[Merge]):
    """The one place at which partitions are merged: a merge while it is here, nothing while it is elsewhere.

    The place comes and goes with a partition of the published table. Each time it comes, the merge begins afresh:
    what was known has grown old, and others have published meanwhile. `make` makes an empty merge; `complete_within_s`
    is how long partitions that were not heard of are waited for: without some of them a market looks as if it shrank.

    The log may be read before the published table is read back. What it brings by then is kept: partitions hand
    everything over as soon as they are there, and again only ten seconds later; the boards would stand still so long.
    """

    def __init__(self, partition: int, make: Callable[[], Merge], complete_within_s: float) -> None:
        self.partition = partition
        self._make, self._complete_within_s = make, complete_within_s
        self._merge: Merge | None = None
        self._began_s = 0.0
        self._early: deque[Any] = deque(maxlen=MOST_EARLY)

    @property
    def merge(self) -> Merge | None:
        """The merge of now, None while the place is elsewhere. Another one each time that the place comes."""
        return self._merge

    def taken(self, partition: int, now_s: float) -> None:
        """A partition of the published table is ours since now (s of a clock that only goes ahead)."""
        if partition == self.partition:
            self._merge, self._began_s = self._make(), now_s
            while self._early:
                self._merge.take(self._early.popleft())

    def lost(self, partition: int) -> None:
        """A partition of the published table is another's."""
        if partition == self.partition:
            self._merge = None
            self._early.clear()

    def take(self, partition: int, found: Any) -> None:
        """Take in the next hand-over of a partition of the log: of the place's own, whether it is here or to come."""
        if partition != self.partition:
            return
        if self._merge is None:
            self._early.append(found)
        else:
            self._merge.take(found)

    def publishable(self, now_s: float) -> Merge | None:
        """The merge where what it knows may stand for the market, else None."""
        merge = self._merge
        if merge is None or merge.complete or now_s - self._began_s >= self._complete_within_s:
            return merge
        return None
