"""What waits between the socket and Kafka: bounded, and quotes give way first."""

from collections import Counter, deque
from typing import Final

from producers.routing import Routed

#: The event type that may be dropped: the next quote of a symbol supersedes it.
DROPPABLE: Final = "Q"


class EventBuffer:
    """At most `capacity` events; when full the oldest quotes go first, counted.

    Other events are never dropped: `is_full` then asks the reader to pause the socket. Quotes wait
    apart from the rest: they have a topic of their own, so that no order between the two is lost.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._quotes: deque[tuple[Routed, int]] = deque()
        self._others: deque[tuple[Routed, int]] = deque()
        #: Events that were dropped, by type.
        self.dropped: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._quotes) + len(self._others)

    @property
    def is_full(self) -> bool:
        """Whether only events wait that must not be dropped, and as many as fit."""
        return len(self._others) >= self.capacity

    def add(self, event: Routed, received_ns: int) -> None:
        """Add an event, dropping the oldest waiting quote when there is no room.

        An event that must not be dropped is taken even by a buffer that `is_full`; the reader adds
        one frame at most before it looks.
        """
        is_quote = event.event_type == DROPPABLE
        if len(self._quotes) + len(self._others) >= self.capacity:
            if self._quotes:
                self._quotes.popleft()
                self.dropped[DROPPABLE] += 1
            elif is_quote:
                self.dropped[DROPPABLE] += 1
                return
        (self._quotes if is_quote else self._others).append((event, received_ns))

    def take(self, limit: int) -> list[tuple[Routed, int]]:
        """Remove and give up to `limit` events with their receive times (ns), each kind in order.

        Quotes come last: they are what may be late.
        """
        taken = [self._others.popleft() for _ in range(min(limit, len(self._others)))]
        taken += [self._quotes.popleft() for _ in range(min(limit - len(taken), len(self._quotes)))]
        return taken
