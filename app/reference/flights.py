"""One request for a value, however many ask for it, in this process and in all others.

In a process those who ask share one task. Across processes a lock in Redis lets one of them make the
request; the others hear of its end over Redis, or see the lock run out where its holder died. When a
request fails, exactly one of those who waited tries again; when that fails too, the mark of the
failure answers everybody for a while.
"""

import asyncio
import contextlib
import random
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import msgspec
import structlog
from msgspec import Struct

from app import clock
from app.errors import RestError, StoreDown
from app.reference.listener import Signals, message
from app.reference.rest import NOTHING
from app.reference.statistics import Statistics
from app.reference.store import Failure, Keys, RedisStore
from app.settings import Settings

log = structlog.get_logger(__name__)

#: A follower looks after its leader at least this often (s): thousands of them must not load Redis.
LONGEST_LOOK_S = 10.0


class Outcome(Struct, frozen=True):
    """How a request ended: data was `fetched` (None: the vendor has none), another process left a
    `value` in Redis, or it `failed`."""

    verdict: str
    data: bytes | None = None
    reason: str | None = None


class Errand(Struct, frozen=True):
    """What to request: the value's keys, the request itself, how long its answers are kept (ms).

    `encode` turns JSON into what is kept. `refresh`: make the request although there is a value.
    """

    keys: Keys
    fetch: Callable[[], Awaitable[bytes | None]]
    encode: Callable[[bytes], bytes]
    ttl_ms: int
    refresh: bool = False


class Flights:
    """Requests in flight of this process. `origin` names the process in messages."""

    def __init__(
        self, store: RedisStore, signals: Signals, settings: Settings, statistics: Statistics, origin: str
    ) -> None:
        self._store, self._signals, self._statistics, self._origin = store, signals, statistics, origin
        self._lock_ms = int(settings.cache_lock_ttl_s * 1000)
        self._missing_ms = int(settings.cache_missing_ttl_s * 1000)
        self._stale_ms = int(settings.cache_stale_ttl_s * 1000)
        self._error_ms = int(settings.cache_error_ttl_s * 1000)
        # Two leaders one after the other may each wait in the queue of the limits, then ask with retries.
        one_s = settings.rest_queue_s + settings.rest_attempts * (
            settings.rest_timeout_s + settings.rest_retry_after_max_s
        )
        self._patience_s = 2 * one_s + 2 * settings.cache_lock_ttl_s
        self._random = random.Random(uuid.uuid4().int)

    async def run(self, errand: Errand, waiting: Callable[[], int]) -> Outcome:
        """Make the request, or wait for the process that makes it.

        `waiting` tells how many in this process wait for the outcome. Raises `StoreDown`.
        """
        keys, waited = errand.keys, False
        until_s = clock.monotonic_s() + self._patience_s
        while clock.monotonic_s() < until_s:
            token = uuid.uuid4().hex
            with self._signals.waiter(keys.value) as news:
                standing = await self._store.lead(keys, token, self._lock_ms, waited=waited, refresh=errand.refresh)
                if standing.verdict == "held":
                    self._statistics.followed += not waited
                    waited = True
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(self._look_s(standing.held_ms)):
                            await news.wait()
                    continue
            if standing.verdict != "lead":
                return Outcome(standing.verdict, reason=standing.reason)
            self._statistics.takeovers += standing.attempt > 1
            outcome = await self._lead(errand, token, standing.attempt)
            if outcome.verdict != "failed" or waiting() <= 1:
                return outcome
            # Others of this process waited for the one that failed: they may try once more, as those
            # of other processes may; the mark sees to it that only one of them all does.
            waited = True
        return Outcome("failed", reason="patience")

    def _look_s(self, held_ms: int) -> float:
        # Followers are woken by a message. They look by themselves only when the lock should have run
        # out, because its holder died; not all at once, and never later than is bearable.
        return min(max(held_ms, 0) / 1000 + 0.02, LONGEST_LOOK_S) * self._random.uniform(1.0, 1.1)

    async def _lead(self, errand: Errand, token: str, attempt: int) -> Outcome:
        keys = errand.keys
        try:
            async with self._renewed(keys, token):
                data = await errand.fetch()
        except RestError as error:
            return await self._failed(keys, token, attempt, error.reason)
        except Exception:
            log.exception("reference_request_broke", key=keys.value)
            return await self._failed(keys, token, attempt, "error")
        except asyncio.CancelledError:
            with contextlib.suppress(StoreDown):
                await self._store.release(keys, token, message(self._origin, "fail", keys.value))
            raise
        kept = errand.encode(NOTHING if data is None else data)
        ttl_ms, stale_ms = (self._missing_ms, 0) if data is None else (errand.ttl_ms, self._stale_ms)
        with contextlib.suppress(StoreDown):  # the answer is there all the same
            await self._store.settle(keys, token, kept, ttl_ms, stale_ms, message(self._origin, "set", keys.value))
        return Outcome("fetched", data)

    async def _failed(self, keys: Keys, token: str, attempt: int, reason: str) -> Outcome:
        mark = msgspec.json.encode(Failure(attempt, reason))
        with contextlib.suppress(StoreDown):
            await self._store.fail(keys, token, mark, self._error_ms, message(self._origin, "fail", keys.value))
        return Outcome("failed", reason=reason)

    @asynccontextmanager
    async def _renewed(self, keys: Keys, token: str) -> AsyncIterator[None]:
        """Keep the lock for as long as the block runs, however long the vendor takes."""
        over = asyncio.Event()
        task = asyncio.create_task(self._renew(keys, token, over))
        try:
            yield
        finally:
            over.set()
            await task

    async def _renew(self, keys: Keys, token: str, over: asyncio.Event) -> None:
        held = True
        while held:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._lock_ms / 3000):
                    await over.wait()
            if over.is_set():
                return
            try:
                answer = await self._store.renew(keys, token, self._lock_ms)
            except StoreDown:
                continue
            if answer != 1:
                self._statistics.locks_lost += 1
                log.warning("lock_ran_out", key=keys.value, taken_again=answer == 2)
            held = answer != 0
