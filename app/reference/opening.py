"""Opens a MarketDataCache with all that it needs, and closes all of that again."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from opentelemetry.metrics import MeterProvider

from app.errors import StoreDown
from app.reference.cache import MarketDataCache
from app.reference.listener import Listener
from app.reference.rest import MassiveRest
from app.reference.statistics import Instruments, Statistics
from app.reference.store import PREFIX, RedisStore, connect
from app.settings import Settings

#: A process tells the others what its cache did this often (s); what it told is dropped after six times that.
REPORT_EVERY_S = 5.0


@asynccontextmanager
async def open_cache(
    settings: Settings, *, meters: MeterProvider | None = None, seed: int | None = None
) -> AsyncIterator[MarketDataCache]:
    """A cache on the Redis and the REST of the settings; it works, degraded, without either.

    Raises `SettingsError`: no API key, or an encryption key that is none.
    """
    statistics, instruments = Statistics.new(), Instruments(meters)
    async with (
        connect(settings) as client,
        connect(settings) as ears,
        MassiveRest.open(settings, store := RedisStore(client), statistics, instruments) as rest,
    ):
        cache = MarketDataCache(store, rest, settings, statistics, instruments, seed)
        listener = Listener(ears, cache.changed, cache.missed_news)
        tasks = [asyncio.create_task(listener.run()), asyncio.create_task(_report(cache))]
        try:
            # Without Redis there is nothing to hear; it is listened to as soon as it is there.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(settings.redis_timeout_s):
                    await listener.connected.wait()
            yield cache
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await cache.close()


async def _report(cache: MarketDataCache) -> None:
    key, life_ms = f"{PREFIX}:stats:{cache.origin}", int(6 * REPORT_EVERY_S * 1000)
    while True:
        await asyncio.sleep(REPORT_EVERY_S)
        with contextlib.suppress(StoreDown):
            await cache.store.run("report", lambda: cache.store.client.set(key, cache.counts_json(), px=life_ms))
