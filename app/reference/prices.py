"""A symbol's prices by time in Redis: store one, get one, the latest one, drop old ones.

One sorted set a symbol, scored by event time (epoch ms), one price a millisecond: the last one
stored. Prices are US dollars. Raises `StoreDown` where Redis cannot be reached.
"""

from typing import Any

from msgspec import Struct

from app.reference.store import PREFIX, RedisStore

#: A history that nothing was added to for this long (ms) is dropped: two days, as a weekend's is of no use.
IDLE_MS = 2 * 86_400_000


class Price(Struct, frozen=True):
    """A price and when it was paid (epoch ms)."""

    event_ms: int
    price: float


class PriceHistory:
    """Prices of symbols; at most `most` of each are kept, the newest ones."""

    def __init__(self, store: RedisStore, most: int = 10_000) -> None:
        self._store, self._most = store, most

    async def store(self, symbol: str, price: float, event_ms: int) -> None:
        """Keep a price; one of the same millisecond is replaced."""
        key = _key(symbol)

        async def call() -> None:
            pipeline: Any = self._store.client.pipeline(transaction=True)
            pipeline.zremrangebyscore(key, event_ms, event_ms)
            pipeline.zadd(key, {f"{event_ms}:{price!r}": event_ms})
            pipeline.zremrangebyrank(key, 0, -self._most - 1)
            pipeline.pexpire(key, IDLE_MS)
            await pipeline.execute()

        await self._store.run("store_price", call)

    async def at(self, symbol: str, event_ms: int) -> Price | None:
        """The price that held at a time: the last one at or before it."""
        return await self._newest(symbol, str(event_ms))

    async def latest(self, symbol: str) -> Price | None:
        """The newest price."""
        return await self._newest(symbol, "+inf")

    async def clean(self, symbol: str, before_ms: int) -> int:
        """Drop what is older than a time; the number of prices that were dropped."""
        key, highest = _key(symbol), f"({before_ms}"
        return int(
            await self._store.run("clean_prices", lambda: self._store.client.zremrangebyscore(key, "-inf", highest))
        )

    async def _newest(self, symbol: str, highest: str) -> Price | None:
        key = _key(symbol)

        async def call() -> list[Any]:
            found: list[Any] = await self._store.client.zrevrangebyscore(key, highest, "-inf", start=0, num=1)
            return found

        found = await self._store.run("get_price", call)
        if not found:
            return None
        event_ms, _, price = bytes(found[0]).decode().partition(":")
        return Price(int(event_ms), float(price))


def _key(symbol: str) -> str:
    return f"{PREFIX}:prices:{symbol}"
