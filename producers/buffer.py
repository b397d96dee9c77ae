"""What waits between the socket and Kafka: bounded, and quotes give way first."""

from collections import Counter, deque
from collections.abc import Iterator

from producers.routing import Routed

#: The event type that may be dropped: the next quote of a symbol supersedes it.
DROPPABLE = "Q"


class EventBuffer:
    """At most `capacity` events, in order; when full the oldest quotes go first, counted.

    Other events are never dropped: `is_full` then asks the reader to pause the socket.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._events: deque[tuple[int, Routed, int] | None] = deque()
        self._quotes: deque[int] = deque()
        self._first = 0
        self._held = 0
        self.dropped: Counter[str] = Counter()

    def __len__(self) -> int:
        return self._held

    @property
    def is_full(self) -> bool:
        """Whether nothing more fits without dropping what must not be dropped."""
        return self._held >= self.capacity

    def add(self, event: Routed, received_ns: int) -> None:
        """Add an event, dropping the oldest waiting quote when there is no room."""
        if self._held >= self.capacity and self._drop_oldest_quote() is False and event.event_type == DROPPABLE:
            self.dropped[DROPPABLE] += 1
            return
        number = self._first + len(self._events)
        self._events.append((number, event, received_ns))
        if event.event_type == DROPPABLE:
            self._quotes.append(number)
        self._held += 1

    def _drop_oldest_quote(self) -> bool:
        while self._quotes:
            index = self._quotes.popleft() - self._first
            if 0 <= index < len(self._events) and self._events[index] is not None:
                self._events[index] = None
                self._held -= 1
                self.dropped[DROPPABLE] += 1
                return True
        return False

    def take(self, limit: int) -> Iterator[tuple[Routed, int]]:
        """Remove and give up to `limit` events, oldest first."""
        while limit and self._events:
            found = self._events.popleft()
            self._first += 1
            if found is not None:
                self._held -= 1
                limit -= 1
                yield found[1], found[2]
