"""Whether Kafka's brokers answer this worker: what it waits for then is no fault of its own.

All clients of a worker are listened to: a request that failed for want of a broker, one that is not answered, a batch
that has to be repeated. From that the watchdog tells a worker that waits for brokers, which must live, from one that
hangs, which must end; and the log says once a minute what is the matter, whatever each client says for itself.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import structlog
from aiokafka.errors import KafkaError, KafkaTimeoutError, UnknownTopicOrPartitionError
from aiokafka.protocol.group import JoinGroupRequest, SyncGroupRequest

from app.stream.lost_connections import take_for_lost
from app.stream.surroundings import Clock, surroundings_of

log = structlog.get_logger(__name__)

Answer = TypeVar("Answer")

#: A request that takes longer has a broker that is paused, or too busy. A fetch is held for 15 ms at most, a flush
#: took up to 112 ms at the p99 with another load on both cores.
SILENT_AFTER_S: Final = 1.0

#: A request that is older than this is none that waits for a broker: aiokafka's time-outs, 30 s for the connection
#: and as much for the answer, are over. Something else holds it up.
SILENT_UNTIL_S: Final = 90.0

#: Brokers count as away this long after a request has failed. Clients try again each 0.1 s, and after a connection
#: that was not accepted within a second.
FAILED_WITHIN_S: Final = 5.0

#: The log says that brokers are away once they are for this long, which no new leader takes, and then this often.
SAY_AFTER_S, SAY_EVERY_S = 3.0, 60.0

#: Pauses between two attempts: the last one is how late brokers that are back can be noticed.
FIRST_PAUSE_S, LAST_PAUSE_S = 0.1, 1.0

#: They wait for the other members of the group, not for the broker.
_LONG = (JoinGroupRequest, SyncGroupRequest)


class Contact:
    """What the clients of one worker hear of the brokers; used by its threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._asked: dict[int, tuple[float, str]] = {}
        self._failed: tuple[float, str] | None = None
        #: What is asked again and again since it failed, by its number: when it failed last (s), and why.
        self._repeated: dict[int, tuple[float, str]] = {}
        self._number = 0
        #: What else tells why brokers count as away; each returns the reason or None.
        self.signs: list[Callable[[], str | None]] = []

    def listen(self, client: Any) -> None:
        """Listen to a client of aiokafka's, from now on."""
        take_for_lost(client)
        send = client.send

        async def listened(node_id: Any, request: Any, **options: Any) -> Any:
            self._number = number = self._number + 1
            what = type(request).__name__.removesuffix("Request")
            if not isinstance(request, _LONG):
                self._asked[number] = self._clock.monotonic_s(), f"broker {node_id} does not answer a {what} request"
            try:
                return await send(node_id, request, **options)
            except KafkaError as error:
                if passes(error):
                    self.failed(f"a {what} request to broker {node_id} failed: {type(error).__name__}")
                raise
            finally:
                self._asked.pop(number, None)

        client.send = listened

    def failed(self, why: str) -> None:
        """Something failed for want of a broker, and is going to be tried again."""
        self._failed = self._clock.monotonic_s(), why

    def away(self) -> str | None:
        """Why brokers count as away now; None: they answer."""
        now_s = self._clock.monotonic_s()
        if self._failed is not None and now_s - self._failed[0] <= FAILED_WITHIN_S:
            return self._failed[1]
        for failed_s, why in list(self._repeated.values()):
            if now_s - failed_s <= SILENT_UNTIL_S:
                return why
        for asked_s, silent in list(self._asked.values()):
            if SILENT_AFTER_S <= now_s - asked_s <= SILENT_UNTIL_S:
                return silent
        return next((found for sign in self.signs if (found := sign()) is not None), None)

    async def until_answered(self, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        """What `ask()` gives, asked again for as long as it fails for want of a broker. Raises its other errors.

        From its first failure to its answer brokers count as away, however long one attempt takes to fail.
        """
        pause_s = FIRST_PAUSE_S
        self._number = number = self._number + 1
        try:
            while True:
                try:
                    return await ask()
                except (KafkaError, OSError, TimeoutError) as error:
                    if not passes(error):
                        raise
                    why = f"{type(error).__name__}: {error}"
                    self.failed(why)
                    self._repeated[number] = self._clock.monotonic_s(), why
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, LAST_PAUSE_S)
        finally:
            self._repeated.pop(number, None)


class Saying:
    """Says in the log that brokers are away, then once a minute that they still are, and that they are back."""

    def __init__(self) -> None:
        self._since_s: float | None = None
        self._said_s: float | None = None

    def note(self, now_s: float, why: str | None) -> None:
        """What is the matter now; None: brokers answer."""
        if why is None:
            if self._since_s is not None and self._said_s is not None:
                log.warning("kafka_answers_again", away_s=round(now_s - self._since_s, 1))
            self._since_s = self._said_s = None
            return
        if self._since_s is None:
            self._since_s = now_s
        away_s = now_s - self._since_s
        if away_s >= SAY_AFTER_S and (self._said_s is None or now_s - self._said_s >= SAY_EVERY_S):
            self._said_s = now_s
            log.warning("kafka_away", why=why, away_s=round(away_s), then="rows are kept; it goes on when it answers")


def passes(error: BaseException) -> bool:
    """Whether an error is one of brokers that are away, so that the same may work later."""
    if isinstance(error, UnknownTopicOrPartitionError):
        return False  # aiokafka repeats what it asks of a topic that was just made; after that it is not there.
    if isinstance(error, KafkaTimeoutError | OSError | TimeoutError) or getattr(error, "retriable", False):
        return True
    # What aiokafka wraps: the search for a coordinator.
    return type(error) is KafkaError and error.__cause__ is not None and passes(error.__cause__)


def contact_of(app: Any) -> Contact:
    """The contact of an app: one for all of its clients."""
    found: Contact | None = getattr(app, "contact", None)
    if found is None:
        found = app.contact = Contact(surroundings_of(app).clock)
    return found
