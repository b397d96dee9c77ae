"""Redis as the cache uses it: bytes in, bytes out, every failure a `StoreDown`.

One Redis (or a primary behind Sentinel or a proxy): the scripts work on keys of several names, which
a Redis Cluster would spread over nodes.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from msgspec import Struct
from redis import exceptions as redis_errors
from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff

from app.errors import StoreDown
from app.reference import scripts
from app.reference.records import Kind
from app.reference.wrappers import Call, Guarded, Logged, T, chain
from app.settings import Settings

PREFIX = "mdc"

#: Who writes or deletes a value says so here: `origin event key`.
INVALIDATIONS = f"{PREFIX}:invalidations"

#: Connections of one process. Commands take tenths of a millisecond, so that few of them carry all.
CONNECTIONS = 16

#: After so many failures in a row Redis is left alone for this long (s): callers get their answer at
#: once instead of after a time-out each.
FAILURES, OPEN_S = 3, 1.0


class Keys(Struct, frozen=True):
    """The Redis keys of one value."""

    value: str
    stale: str
    error: str
    lock: str

    @classmethod
    def of(cls, kind: Kind, ticker: str) -> "Keys":
        """The keys of a ticker's value of a kind."""
        name = f"{kind}:{ticker}"
        return cls(f"{PREFIX}:{name}", f"{PREFIX}:stale:{name}", f"{PREFIX}:error:{name}", f"{PREFIX}:lock:{name}")


class Failure(Struct, frozen=True):
    """The mark of a failed request: the attempt's number and the reason in one word."""

    attempt: int
    reason: str


class Standing(Struct, frozen=True):
    """How a request for a value stands: `value`, `held`, `failed` or `lead`.

    `held_ms`: the lock runs out then, unless its holder renews it.
    """

    verdict: str
    attempt: int = 0
    held_ms: int = 0
    reason: str | None = None


def _is_outage(error: Exception) -> bool:
    return isinstance(error, redis_errors.ConnectionError | redis_errors.TimeoutError | OSError)


def connect(settings: Settings, **options: Any) -> Redis:
    """A client with time-outs on everything; nothing is sent yet."""
    pool = ConnectionPool.from_url(
        settings.redis_address,
        max_connections=CONNECTIONS,
        socket_timeout=settings.redis_timeout_s,
        socket_connect_timeout=settings.redis_timeout_s,
        retry=Retry(ExponentialWithJitterBackoff(cap=0.2, base=0.02), 2),
        **options,
    )
    return Redis.from_pool(pool)


class RedisStore:
    """The commands that the cache needs, through a log and a circuit breaker; raises `StoreDown`."""

    def __init__(self, client: Redis) -> None:
        self.client = client
        self.guard = Guarded("redis", FAILURES, OPEN_S, _is_outage, lambda: StoreDown("Redis is down"))
        self._around = chain(Logged("redis"), self.guard)
        # Who waits for a connection waits here: redis-py's blocking pool waits on a condition, which
        # before Python 3.11.8 loses a wake-up when a waiter is cancelled, and then nobody is woken.
        self._room = asyncio.Semaphore(CONNECTIONS)
        self._lead, self._renew, self._settle, self._fail, self._release = (
            client.register_script(text)
            for text in (scripts.LEAD, scripts.RENEW, scripts.SETTLE, scripts.FAIL, scripts.RELEASE)
        )

    async def run(self, name: str, call: Call[T]) -> T:
        """Make a call to Redis. Raises `StoreDown`: it failed."""

        async def in_turn() -> T:
            async with self._room:
                return await call()

        try:
            return await self._around(name, in_turn)
        except (redis_errors.RedisError, OSError) as error:
            raise StoreDown(f"Redis: {name} failed: {error}") from error

    async def ping(self) -> None:
        """Whether Redis answers: nothing is raised then."""

        async def call() -> None:
            await self.client.ping()

        await self.run("ping", call)

    async def get(self, key: str) -> tuple[bytes | None, int]:
        """A value and its remaining time to live in ms (-1: none), in one round trip."""

        async def call() -> tuple[bytes | None, int]:
            pipeline: Any = self.client.pipeline(transaction=False)
            value, ttl_ms = await pipeline.get(key).pttl(key).execute()
            return value, ttl_ms

        return await self.run("get", call)

    async def set(self, key: str, data: bytes, ttl_ms: int, message: str) -> None:
        """Write a value (0 ms: no expiry) and say so."""

        async def call() -> None:
            pipeline: Any = self.client.pipeline(transaction=True)
            await pipeline.set(key, data, px=ttl_ms or None).publish(INVALIDATIONS, message).execute()

        await self.run("set", call)

    async def set_many(self, values: "list[tuple[str, bytes, int]]", message: str) -> None:
        """Write values, each with its life (ms), in steps of 500, and say once at the end that it was done."""

        async def step(rows: "list[tuple[str, bytes, int]]") -> None:
            pipeline: Any = self.client.pipeline(transaction=False)
            for key, data, ttl_ms in rows:
                pipeline.set(key, data, px=ttl_ms)
            await pipeline.execute()

        for first in range(0, len(values), 500):
            rows = values[first : first + 500]
            await self.run("set_many", lambda rows=rows: step(rows))  # type: ignore[misc] # mypy infers no defaults of lambdas
        await self.publish(INVALIDATIONS, message.encode())

    async def delete(self, keys: list[str], messages: list[str]) -> int:
        """Delete keys and say so; the number of keys that were there."""

        async def call() -> int:
            pipeline: Any = self.client.pipeline(transaction=True).delete(*keys)
            for message in messages:
                pipeline.publish(INVALIDATIONS, message)
            return int((await pipeline.execute())[0])

        return await self.run("delete", call)

    async def publish(self, channel: str, data: bytes) -> int:
        """Publish a message; the number of its receivers."""

        async def call() -> int:
            return await self.client.publish(channel, data)

        return await self.run("publish", call)

    async def count(self, pattern: str) -> int:
        """Number of keys that match; reads the whole keyspace in steps."""

        async def call() -> int:
            found: AsyncIterator[bytes] = self.client.scan_iter(match=pattern, count=1000)
            return len({key async for key in found})

        return await self.run("scan", call)

    async def values(self, pattern: str) -> list[bytes]:
        """The values of the keys that match."""

        async def call() -> list[bytes]:
            keys = [key async for key in self.client.scan_iter(match=pattern, count=1000)]
            values: list[Any] = await self.client.mget(keys) if keys else []
            return [bytes(value) for value in values if value is not None]

        return await self.run("values", call)

    async def lead(self, keys: Keys, token: str, lock_ms: int, *, waited: bool, refresh: bool) -> Standing:
        """Ask to make the request for a value; see `scripts.LEAD`."""
        answer: list[Any] = await self.run(
            "lead",
            lambda: self._lead(
                [keys.value, keys.error, keys.lock], [token, str(lock_ms), str(int(waited)), str(int(refresh))]
            ),
        )
        verdict = bytes(answer[0]).decode()
        if verdict == "lead":
            return Standing(verdict, int(answer[1]))
        if verdict == "held":
            return Standing(verdict, held_ms=int(answer[1]))
        if verdict == "failed":
            mark = json.loads(answer[1])
            return Standing(verdict, int(mark["attempt"]), reason=str(mark["reason"]))
        return Standing(verdict)

    async def renew(self, keys: Keys, token: str, lock_ms: int) -> int:
        """Keep the lock: 1 kept, 2 taken again after it ran out, 0 lost to another process."""
        return int(await self.run("renew", lambda: self._renew([keys.lock], [token, str(lock_ms)])))

    async def settle(self, keys: Keys, token: str, data: bytes, ttl_ms: int, stale_ms: int, message: str) -> None:
        """Keep what was fetched and end the request; `stale_ms` 0: no copy outlives the value."""
        names = [keys.value, keys.stale, keys.error, keys.lock]
        values: list[str | bytes] = [token, data, str(ttl_ms), str(stale_ms), INVALIDATIONS, message]
        await self.run("settle", lambda: self._settle(names, values))

    async def fail(self, keys: Keys, token: str, mark: bytes, ttl_ms: int, message: str) -> bool:
        """Mark the request as failed and end it; False where another process leads by now."""
        values: list[str | bytes] = [token, mark, str(ttl_ms), INVALIDATIONS, message]
        return bool(await self.run("fail", lambda: self._fail([keys.error, keys.lock], values)))

    async def release(self, keys: Keys, token: str, message: str) -> bool:
        """Give the lock back without an outcome."""
        return bool(await self.run("release", lambda: self._release([keys.lock], [token, INVALIDATIONS, message])))
