"""MarketDataCache: reference data from memory, else Redis, else Massive's REST.

Nothing here raises into a caller's face: every answer says what it is worth (`State`). An event is
never held up either, because nothing on its path calls this; who asks does so in the background.
"""

import asyncio
import contextlib
import os
import random
import socket
import uuid
from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from app import clock
from app.errors import UNREADABLE, StoreDown
from app.reference.codec import Codec, UndecodableError
from app.reference.flights import Flights
from app.reference.keyed import REDIS_DOWN, KeyedCache
from app.reference.listener import Signals, message
from app.reference.memory import Entry, Memory
from app.reference.records import Answer, Kind, Layer, State, TickerSnapshot
from app.reference.rest import NOTHING, MassiveRest
from app.reference.sources import Sources
from app.reference.statistics import Instruments, Report, Statistics
from app.reference.store import PREFIX, Keys, RedisStore
from app.settings import Settings

T = TypeVar("T")

#: A failure is remembered in the process this long (s): Redis has the mark, this only spares asking it.
FAILURE_IN_MEMORY_S = 2.0

#: A value that vanished between two looks at it is looked for again so often.
LOOKS = 3


class _Load(Struct):
    """A load that several callers share."""

    task: asyncio.Task[Answer[Any]] | None = None
    waiting: int = 0


class MarketDataCache(KeyedCache):
    """Snapshots, average volumes and floats by ticker, and a JSON cache by key. Made by `open_cache`."""

    def __init__(
        self,
        store: RedisStore,
        rest: MassiveRest,
        settings: Settings,
        statistics: Statistics,
        instruments: Instruments,
        seed: int | None = None,
    ) -> None:
        origin = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        super().__init__(store, Codec.from_settings(settings), origin, statistics, instruments)
        self.rest, self._settings = rest, settings
        self._memory, self._signals = Memory(settings.cache_memory_entries), Signals()
        self._flights = Flights(store, self._signals, settings, statistics, self.origin)
        self._loads, self._refreshes = dict[str, _Load](), set[str]()
        self._tasks = set[asyncio.Task[Any]]()
        self._random = random.Random(seed)
        self._sources = Sources(rest, settings, self._codec)

    # By ticker

    async def get_ticker_snapshot(self, ticker: str) -> Answer[TickerSnapshot]:
        """A ticker's snapshot."""
        return await self.get(Kind.SNAPSHOT, ticker)

    async def get_avg_volume(self, ticker: str) -> Answer[float]:
        """A ticker's average daily volume in shares; never 0."""
        return await self.get(Kind.AVG_VOLUME, ticker)

    async def get_free_float(self, ticker: str) -> Answer[float]:
        """A ticker's free float in shares; never 0."""
        return await self.get(Kind.FREE_FLOAT, ticker)

    async def get(self, kind: Kind, ticker: str) -> Answer[Any]:
        """A ticker's value of a kind."""
        self._instruments.get[kind].add(1)
        key, now_s = Keys.of(kind, ticker).value, clock.monotonic_s()
        entry = self._memory.get(key, now_s)
        if entry is not None:
            self._count(self._counts.memory, entry.answer)
            return _aged(entry, now_s)
        self._counts.memory.misses += 1
        load = self._loads.get(key)
        if load is None:
            load = self._loads[key] = _Load()
            load.task = self._start(self._load_and_forget(kind, ticker, key, load))
        else:
            self._counts.coalesced += 1
        load.waiting += 1
        assert load.task is not None
        try:
            # Shielded: a caller that gives up does not take the others' request with it.
            return await asyncio.shield(load.task)
        finally:
            load.waiting -= 1

    async def refresh(self, kind: Kind, ticker: str) -> Answer[Any]:
        """Fetch a value although there is one; where that fails, what there is."""
        with contextlib.suppress(StoreDown):
            await self._refresh(kind, ticker)
        key = Keys.of(kind, ticker).value
        self._drop(key)
        return await self.get(kind, ticker)

    async def fill(self, kind: Kind, values: Mapping[str, bytes | None]) -> bool:
        """Keep the values of many tickers as the vendor's JSON; None: it has none. False where Redis is down.

        They live as long as values that were asked for one by one.
        """
        kept: list[tuple[str, bytes, int]] = []
        stale_ms = int(self._settings.cache_stale_ttl_s * 1000)
        for ticker, value in values.items():
            keys = Keys.of(kind, ticker)
            data = self._codec.encode(NOTHING if value is None else value)
            life_ms = self._sources.ttl_ms(kind) if value is not None else self._sources.missing_ttl_ms
            kept.append((keys.value, data, life_ms))
            if value is not None:
                kept.append((keys.stale, data, stale_ms))
        try:
            await self.store.set_many(kept, message(self.origin, "bulk", kind))
        except StoreDown:
            self._redis_failed()
            return False
        finally:
            self.missed_news()
        return True

    async def forget(self, kind: Kind, ticker: str) -> bool:
        """Delete a value and all that is kept beside it; whether there was one."""
        keys = Keys.of(kind, ticker)
        return await self._delete([keys.value, keys.stale, keys.error], keys.value)

    async def delete_ticker_snapshot(self, ticker: str) -> bool:
        """Delete a ticker's snapshot; whether there was one."""
        self._instruments.delete_ticker_snapshot.add(1)
        return await self.forget(Kind.SNAPSHOT, ticker)

    # What it did

    def statistics(self) -> Report:
        """What this process's cache did."""
        return Report.of(self._counts, 1, memory_entries=len(self._memory), redis_up=self.store.guard.closed)

    async def fleet_statistics(self) -> Report:
        """What the caches of all processes did that report to this Redis. Raises `StoreDown`."""
        total, found = Statistics.new(), await self.store.values(f"{PREFIX}:stats:*")
        for data in found:
            total.add(msgspec.json.decode(data, type=Statistics))
        return Report.of(total, len(found))

    async def key_counts(self) -> dict[Kind, int]:
        """Number of values in Redis of each kind. Raises `StoreDown`."""
        return {kind: await self.store.count(f"{PREFIX}:{kind}:*") for kind in Kind}

    def counts_json(self) -> bytes:
        """This process's counts, as other processes read them."""
        return msgspec.json.encode(self._counts)

    # News from other processes, and the end

    def changed(self, origin: str, event: str, key: str) -> None:
        """A process says that a value was written (`set`), deleted (`del`) or could not be fetched (`fail`).

        `bulk`: the values of many tickers were written; the key is their kind.
        """
        if event == "bulk":
            if origin != self.origin:
                self.missed_news()
            return
        if origin != self.origin and event != "fail":
            self._counts.invalidations += 1
            self._drop(key)
        self._signals.wake(key)

    def missed_news(self) -> None:
        """Messages may have been missed: what is in memory is not taken for fresh."""
        self._memory.expire_all()
        self._loads.clear()
        self._signals.wake_all()

    async def close(self) -> None:
        """End what runs in the background."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # How a value is found

    async def _load_and_forget(self, kind: Kind, ticker: str, key: str, load: _Load) -> Answer[Any]:
        try:
            return await self._load(kind, ticker, load)
        except StoreDown:
            return self._without_redis(key)
        finally:
            if self._loads.get(key) is load:
                del self._loads[key]

    async def _load(self, kind: Kind, ticker: str, load: _Load) -> Answer[Any]:
        keys, must_fetch = Keys.of(kind, ticker), False
        for _ in range(LOOKS):
            if not must_fetch:
                data, ttl_ms = await self.store.get(keys.value)
                answer = self._decoded(kind, data, ttl_ms, keys.value)
                if answer is not None:
                    self._count(self._counts.redis, answer)
                    self._remember(keys.value, answer, ttl_ms / 1000, load)
                    self._refresh_early(kind, ticker, ttl_ms)
                    return answer
                # What cannot be read is fetched over it; a lock that sees a value would stand aside.
                must_fetch = data is not None
            self._counts.redis.misses += 1
            self._instruments.miss.add(1)
            outcome = await self._flights.run(
                self._sources.errand(kind, ticker, refresh=must_fetch), lambda: load.waiting
            )
            if outcome.verdict == "fetched":
                return self._fetched(kind, keys.value, outcome.data, load)
            if outcome.verdict == "failed":
                return await self._failed(kind, keys, outcome.reason, load)
            must_fetch = False
        return Answer(None, State.FAILED, Layer.REDIS, reason="vanished")

    def _fetched(self, kind: Kind, key: str, data: bytes | None, load: _Load) -> Answer[Any]:
        answer, life_s = self._sources.fetched(kind, data)
        self._remember(key, answer, life_s, load)
        return answer

    async def _failed(self, kind: Kind, keys: Keys, reason: str | None, load: _Load) -> Answer[Any]:
        """The older value where there is one."""
        data, left_ms = await self.store.get(keys.stale)
        old = self._decoded(kind, data, left_ms, keys.stale)
        if old is None or old.value is None:
            answer: Answer[Any] = Answer(None, State.FAILED, Layer.REST, reason=reason)
        else:
            age_s = self._settings.cache_stale_ttl_s - left_ms / 1000
            answer = Answer(old.value, State.STALE, Layer.REDIS, age_s, reason)
            self._counts.stale_serves += 1
            self._instruments.stale.add(1)
        until_s = min(FAILURE_IN_MEMORY_S, self._settings.cache_error_ttl_s)
        self._remember(keys.value, answer, until_s, load)
        return answer

    def _without_redis(self, key: str) -> Answer[Any]:
        self._redis_failed()
        entry = self._memory.last(key)
        if entry is None or entry.answer.state in (State.FAILED, State.UNAVAILABLE):
            self._counts.unavailable += 1
            return Answer(None, State.UNAVAILABLE, Layer.MEMORY, reason=REDIS_DOWN)
        self._counts.stale_serves += 1
        self._instruments.stale.add(1)
        aged = _aged(entry, clock.monotonic_s())
        state = State.STALE if aged.state is State.FRESH else aged.state
        return msgspec.structs.replace(aged, state=state, reason=REDIS_DOWN)

    def _decoded(self, kind: Kind, data: bytes | None, ttl_ms: int, key: str) -> Answer[Any] | None:
        """The answer that a value in Redis is; None where there is none that can be read."""
        if data is None:
            return None
        try:
            return self._sources.kept(kind, data, ttl_ms)
        except (UndecodableError, *UNREADABLE) as error:
            self._undecodable(key, error)
            return None

    # Refreshing

    def _refresh_early(self, kind: Kind, ticker: str, ttl_ms: int) -> None:
        """Near the end of its life a value is fetched anew in the background, the likelier the nearer.

        By chance, so that neither all tickers of a warmed cache nor all processes ask at one moment.
        """
        window_ms = self._settings.cache_refresh_fraction * self._sources.ttl_ms(kind)
        if not 0 <= ttl_ms < window_ms or self._random.random() < ttl_ms / window_ms:
            return
        key = Keys.of(kind, ticker).value
        if key in self._refreshes:
            return
        self._counts.refreshes += 1
        self._refreshes.add(key)
        self._start(self._refresh_quietly(kind, ticker, key))

    async def _refresh_quietly(self, kind: Kind, ticker: str, key: str) -> None:
        try:
            await self._refresh(kind, ticker)
        except StoreDown:
            self._redis_failed()
        finally:
            self._refreshes.discard(key)

    async def _refresh(self, kind: Kind, ticker: str) -> None:
        outcome = await self._flights.run(self._sources.errand(kind, ticker, refresh=True), lambda: 1)
        if outcome.verdict == "fetched":
            self._drop(Keys.of(kind, ticker).value)

    # Small change

    def _start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _remember(self, key: str, answer: Answer[Any], life_s: float, load: _Load) -> None:
        if self._loads.get(key) is not load:
            return  # the value was written or deleted meanwhile: this one may be the older
        now_s = clock.monotonic_s()
        until_s = now_s + min(self._settings.cache_memory_ttl_s, life_s if life_s > 0 else float("inf"))
        fetched_s = None if answer.age_s is None else now_s - answer.age_s
        kept = msgspec.structs.replace(answer, layer=Layer.MEMORY)
        self._memory.put(key, Entry(kept, until_s, fetched_s))

    def _drop(self, key: str) -> None:
        self._memory.invalidate(key)
        # Who asks from now on does not join a load that may have read the old value.
        self._loads.pop(key, None)

    def _count(self, layer: Any, answer: Answer[Any]) -> None:
        layer.hits += 1
        self._instruments.hit.add(1)
        if answer.state is State.MISSING:
            layer.negative_hits += 1
            self._instruments.negative_hit.add(1)
        elif answer.state is State.STALE:
            self._counts.stale_serves += 1
            self._instruments.stale.add(1)


def _aged(entry: Entry, now_s: float) -> Answer[Any]:
    if entry.fetched_s is None:
        return entry.answer
    answer = entry.answer
    return Answer(answer.value, answer.state, Layer.MEMORY, now_s - entry.fetched_s, answer.reason)
