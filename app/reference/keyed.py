"""The plain half of MarketDataCache: JSON by key, and messages, in Redis; no layer of memory."""

from typing import Any

import msgspec
import structlog

from app.errors import UNREADABLE, StoreDown
from app.reference.codec import Codec, UndecodableError
from app.reference.listener import message
from app.reference.statistics import Instruments, Statistics
from app.reference.store import RedisStore

log = structlog.get_logger(__name__)

REDIS_DOWN = "redis_down"


class KeyedCache:
    """JSON values by key. Without Redis nothing is found, nothing kept, and nothing raised."""

    def __init__(
        self, store: RedisStore, codec: Codec, origin: str, statistics: Statistics, instruments: Instruments
    ) -> None:
        self.store, self.origin = store, origin
        self._codec, self._counts, self._instruments = codec, statistics, instruments

    async def read(self, key: str) -> Any:
        """The JSON value of a key, None where there is none or Redis is down."""
        self._instruments.read.add(1)
        self._counts.reads += 1
        try:
            data, _ = await self.store.get(key)
            return None if data is None else msgspec.json.decode(self._codec.decode(data))
        except StoreDown:
            self._redis_failed()
        except (UndecodableError, *UNREADABLE) as error:
            self._undecodable(key, error)
        return None

    async def write(self, data: Any, key: str, ttl_s: float = 0) -> bool:
        """Keep a value as JSON for so long (0: without end); False where Redis is down."""
        self._instruments.write.add(1)
        self._counts.writes += 1
        kept = self._codec.encode(msgspec.json.encode(data))
        # A time to live below a millisecond would be none at all.
        ttl_ms = max(int(ttl_s * 1000), 1) if ttl_s else 0
        try:
            await self.store.set(key, kept, ttl_ms, message(self.origin, "set", key))
        except StoreDown:
            self._redis_failed()
            return False
        finally:
            self._drop(key)
        return True

    async def broadcast(self, data: Any, channel: str) -> int:
        """Publish a value as JSON; the number of its receivers, 0 where Redis is down."""
        self._instruments.broadcast.add(1)
        self._counts.broadcasts += 1
        try:
            return await self.store.publish(channel, msgspec.json.encode(data))
        except StoreDown:
            self._redis_failed()
            return 0

    async def delete(self, key: str) -> bool:
        """Delete a key; whether it was there."""
        return await self._delete([key], key)

    async def _delete(self, keys: list[str], key: str) -> bool:
        self._instruments.delete.add(1)
        self._counts.deletes += 1
        try:
            return await self.store.delete(keys, [message(self.origin, "del", key)]) > 0
        except StoreDown:
            self._redis_failed()
            return False
        finally:
            self._drop(key)

    def _drop(self, key: str) -> None:
        """A key was written or deleted here; nothing to do where nothing is remembered."""

    def _redis_failed(self) -> None:
        self._counts.redis_errors += 1
        self._instruments.error.add(1, {"reason": REDIS_DOWN})

    def _undecodable(self, key: str, error: Exception) -> None:
        self._counts.undecodable += 1
        self._instruments.error.add(1, {"reason": "undecodable"})
        log.warning("cached_value_unreadable", cached=key, error=str(error))
