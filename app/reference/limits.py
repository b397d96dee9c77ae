"""How much of Massive's REST one API key may use: so many requests a second, so many in flight.

The limits hold over all processes that share a key and a Redis. Without Redis each process keeps to
the same figures by itself, so that none of them is ever without a limit.
"""

import asyncio
import hashlib
import random
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiolimiter import AsyncLimiter

from app import clock
from app.errors import RestError, StoreDown
from app.reference import scripts
from app.reference.store import PREFIX, RedisStore
from app.settings import Settings

#: A full house is looked at again this often (s); doubles up to the second figure.
FIRST_LOOK_S, LAST_LOOK_S = 0.01, 0.1

#: Answer of `scripts.ADMIT`: the wait would be longer than allowed.
TOO_LONG = -1


def limit_keys(api_key: str) -> tuple[str, str]:
    """The Redis keys of an API key's limits: the next free moment, and the places in use."""
    name = hashlib.sha256(api_key.encode()).hexdigest()[:12]
    return f"{PREFIX}:limit:{name}:next", f"{PREFIX}:limit:{name}:places"


class Limits:
    """The rate and the concurrency limit of one API key."""

    def __init__(self, store: RedisStore, settings: Settings, api_key: str) -> None:
        self._next, self._places = limit_keys(api_key)
        self._store, self._settings = store, settings
        self._gap_ms = 1000 / settings.rest_requests_per_s
        # aiolimiter's bucket holds the burst and leaks at the rate.
        self._own_rate = AsyncLimiter(settings.rest_burst, settings.rest_burst / settings.rest_requests_per_s)
        self._own_places = asyncio.Semaphore(settings.rest_concurrency)
        self._admit, self._hold_off = (store.client.register_script(text) for text in (scripts.ADMIT, scripts.HOLD_OFF))
        # A lease outlives the longest request, so that only a dead process's runs out.
        self._lease_ms = int((settings.rest_timeout_s * 2 + 5) * 1000)
        self._random = random.Random(uuid.uuid4().int)

    @asynccontextmanager
    async def room(self) -> AsyncIterator[None]:
        """Wait for room, and hold it. Raises `RestError` of kind `limit`: none within `rest_queue_s`."""
        try:
            async with asyncio.timeout(self._settings.rest_queue_s):
                await self._own_places.acquire()
        except TimeoutError:
            raise self._no_room() from None
        token = uuid.uuid4().hex
        try:
            await self._admitted(token)
            yield
        finally:
            self._own_places.release()
            await self._leave(token)

    async def hold_off(self, seconds: float) -> None:
        """The vendor asked for a pause: nobody with this key begins a request before its end."""
        try:
            await self._store.run("hold_off", lambda: self._hold_off([self._next], [str(int(seconds * 1000))]))
        except StoreDown:
            return  # this process's own retry waits all the same

    async def _admitted(self, token: str) -> None:
        look_s, until_s = FIRST_LOOK_S, clock.monotonic_s() + self._settings.rest_queue_s
        while clock.monotonic_s() < until_s:
            wait_ms = await self._ask(token)
            if wait_ms is None:
                await self._own_rate.acquire()
                return
            if wait_ms >= 0:
                await asyncio.sleep(wait_ms / 1000)
                return
            if wait_ms == TOO_LONG:
                break
            await asyncio.sleep(look_s * self._random.uniform(0.5, 1.0))
            look_s = min(look_s * 2, LAST_LOOK_S)
        raise self._no_room()

    async def _ask(self, token: str) -> int | None:
        figures = (
            self._gap_ms, self._settings.rest_burst, int(self._settings.rest_queue_s * 1000),
            token, self._settings.rest_concurrency, self._lease_ms,
        )  # fmt: skip
        keys, arguments = [self._next, self._places], [str(figure) for figure in figures]
        try:
            return int(await self._store.run("admit", lambda: self._admit(keys, arguments)))
        except StoreDown:
            return None

    async def _leave(self, token: str) -> None:
        try:
            await self._store.run("leave", lambda: self._store.client.zrem(self._places, token))
        except StoreDown:
            return  # the lease ends by itself

    def _no_room(self) -> RestError:
        return RestError("limit", f"no room for a request within {self._settings.rest_queue_s:.0f} s")
