"""What the engine takes from whoever uses it, each with a default: clock, observer, traces, the way to the brokers.

    app = batched_app("scanner", "127.0.0.1:9092", partitions=8, surroundings=Surroundings(observer=my_observer))

All of it is called once per batch or flush, never per record.
"""

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Protocol

from app.stream.batches import RecordBatch


class Clock(Protocol):
    """Where the engine reads the time."""

    def wall_ns(self) -> int:
        """Nanoseconds since the Unix epoch."""

    def monotonic_s(self) -> float:
        """Seconds on a clock that never goes back."""


class SystemClock:
    """The machine's clocks."""

    def wall_ns(self) -> int:
        """Nanoseconds since the Unix epoch."""
        return time.time_ns()

    def monotonic_s(self) -> float:
        """Seconds on a clock that never goes back."""
        return time.monotonic()


class TableObserver(Protocol):
    """Is told what one table does."""

    def received_ns(self, batch: RecordBatch) -> int | None:
        """When a batch's newest event came into the system (Unix epoch ns); None: not known. It is handed back."""

    def folded(self, records: int, seconds: float) -> None:
        """A batch was folded."""

    def flushed(self, topic: str, records: int, seconds: float, received_ns: int | None) -> None:
        """Kafka has acknowledged a flush, so many seconds after it was made."""

    def recovered(self, partition: int, records: int) -> None:
        """A partition was read back, from so many records."""


class Observer(Protocol):
    """Is told what a worker does."""

    def table(self, name: str) -> TableObserver:
        """The observer of one table; asked for once."""

    def read(self, topic: str, records: int) -> None:
        """A batch of so many records was read."""

    def sent(self, topic: str, records: int) -> None:
        """Kafka has acknowledged records that are no flush."""


class TraceCarrier(Protocol):
    """Carries sampled trace contexts (bytes) through the engine."""

    @property
    def header(self) -> str:
        """Name of the record header that holds a context."""

    def enabled(self) -> bool:
        """Whether headers are worth looking at."""

    def current(self) -> bytes | None:
        """The current context; None where it is not sampled."""

    def continued(
        self, name: str, contexts: Sequence[bytes], attributes: dict[str, str | int]
    ) -> AbstractContextManager[Any]:
        """A span that goes on with some contexts."""

    def finished(self, name: str, parent: bytes | None, start_ns: int) -> None:
        """Record a span below `parent` that began at a time and ends now."""


class _SilentTable:
    def received_ns(self, batch: RecordBatch) -> int | None:
        return None

    def folded(self, records: int, seconds: float) -> None:
        pass

    def flushed(self, topic: str, records: int, seconds: float, received_ns: int | None) -> None:
        pass

    def recovered(self, partition: int, records: int) -> None:
        pass


class NoObserver:
    """Nobody is told."""

    def table(self, name: str) -> TableObserver:
        """One that ignores all."""
        return _SilentTable()

    def read(self, topic: str, records: int) -> None:
        """Ignored."""

    def sent(self, topic: str, records: int) -> None:
        """Ignored."""


class NoTraces:
    """Nothing is traced."""

    header = "traceparent"

    def enabled(self) -> bool:
        """No."""
        return False

    def current(self) -> bytes | None:
        """None."""
        return None

    def continued(
        self, name: str, contexts: Sequence[bytes], attributes: dict[str, str | int]
    ) -> AbstractContextManager[Any]:
        """No span."""
        return nullcontext()

    def finished(self, name: str, parent: bytes | None, start_ns: int) -> None:
        """Ignored."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Everything from outside, as one value."""

    clock: Clock = field(default_factory=SystemClock)
    observer: Observer = field(default_factory=NoObserver)
    traces: TraceCarrier = field(default_factory=NoTraces)


_DEFAULT = Surroundings()


def surroundings_of(app: Any) -> Surroundings:
    """What `batched_app` was given for an app; the defaults for an app that was made otherwise."""
    found: Surroundings = getattr(app, "surroundings", _DEFAULT)
    return found


class BrokerAccess(Protocol):
    """How to reach Kafka, as a value."""

    @property
    def bootstrap_servers(self) -> str:
        """`host:port`, several separated by commas."""

    @property
    def client_id(self) -> str:
        """The name under which brokers know this client."""

    def faust_credentials(self) -> Any:
        """Faust's `broker_credentials`; None where there is no TLS and no login."""


@dataclass(frozen=True, slots=True)
class PlainAccess:
    """Brokers without TLS and login."""

    bootstrap_servers: str
    client_id: str = "stream"

    def faust_credentials(self) -> Any:
        """None."""
        return None
