"""The directory of symbols, asked for once a day: name, type and listing exchange of each, in pages of 1,000."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Final

import structlog

from app.errors import RestError
from app.market.symbols import Listing
from app.reference.bulk_rest import BulkRest
from app.reference.cache import MarketDataCache
from app.reference.store import PREFIX

log = structlog.get_logger(__name__)

#: A directory that was told is not asked for again within this long (s), over restarts.
TOLD_TTL_S: Final = 20 * 3600.0

#: Writes listings to their topic.
Publish = Callable[[Iterable[Listing]], Awaitable[None]]


class Directory:
    """Asks for the directory of a day, and has it published by `publish`."""

    def __init__(self, cache: MarketDataCache, publish: Publish) -> None:
        self._cache, self._publish = cache, publish

    async def fill(self, day: str) -> bool:
        """Whether a day's directory was told, now or before; false where it is to be asked for again.

        A plan that does not include it is an answer.
        """
        key = f"{PREFIX}:directory:{day}"
        if await self._cache.read(key):
            return True
        try:
            listings = [
                Listing(row.ticker, day, row.name, row.type, row.primary_exchange, row.active)
                async for row in BulkRest(self._cache.rest).tickers()
            ]
        except RestError as error:
            if error.kind == "plan":
                return True
            log.warning("directory_failed", day=day, error=str(error))
            return False
        await self._publish(listings)
        # An empty answer is asked for again: there is no market without symbols.
        if listings:
            await self._cache.write(len(listings), key, TOLD_TTL_S)
        log.info("directory_filled", day=day, symbols=len(listings))
        return bool(listings)
