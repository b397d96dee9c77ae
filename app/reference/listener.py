"""What other processes say about values: written, deleted, failed; and who waits for that here."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog
from redis import exceptions as redis_errors
from redis.asyncio import Redis

from app.reference.store import INVALIDATIONS

log = structlog.get_logger(__name__)

#: After a lost connection it is tried again after the first pause (s), doubling to the last one.
FIRST_PAUSE_S, LAST_PAUSE_S = 0.05, 1.0


def message(origin: str, event: str, key: str) -> str:
    """A message about a key: `set`, `del` or `fail`, and the process that says so."""
    return f"{origin} {event} {key}"


class Signals:
    """Wakes those in this process who wait for news of a key."""

    def __init__(self) -> None:
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)

    @contextmanager
    def waiter(self, key: str) -> Iterator[asyncio.Event]:
        """An event that is set by the first news of the key from now on."""
        event = asyncio.Event()
        self._waiting[key].add(event)
        try:
            yield event
        finally:
            self._waiting[key].discard(event)
            if not self._waiting[key]:
                del self._waiting[key]

    def wake(self, key: str) -> None:
        """There is news of the key."""
        for event in self._waiting.get(key, ()):
            event.set()

    def wake_all(self) -> None:
        """There may have been news of any key."""
        for key in list(self._waiting):
            self.wake(key)


class Listener:
    """Follows the channel of invalidations for as long as it runs, over every loss of Redis.

    `changed(origin, event, key)` is called for each message, `gap()` whenever messages may have been
    missed. `connected` is set while it listens.
    """

    def __init__(self, client: Redis, changed: Callable[[str, str, str], None], gap: Callable[[], None]) -> None:
        self._client, self._changed, self._gap = client, changed, gap
        self.connected = asyncio.Event()

    async def run(self) -> None:
        """Listen until cancelled."""
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                await self._listen()
            except (redis_errors.RedisError, OSError) as error:
                if self.connected.is_set():
                    log.warning("invalidations_lost", error=str(error))
                    pause_s = FIRST_PAUSE_S
                self.connected.clear()
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, LAST_PAUSE_S)

    async def _listen(self) -> None:
        async with self._client.pubsub() as channel:
            await channel.subscribe(INVALIDATIONS)
            while True:
                news = await channel.get_message(timeout=5.0)
                if news is None:
                    # A peer that vanished without a word is only noticed by asking it.
                    await channel.ping()
                elif news["type"] == "subscribe":
                    self._gap()
                    self.connected.set()
                elif news["type"] == "message":
                    origin, event, key = bytes(news["data"]).decode().split(" ", 2)
                    self._changed(origin, event, key)
