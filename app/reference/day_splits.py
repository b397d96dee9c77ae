"""The splits of a trading day, kept for all: who puts a symbol's reference data together adjusts it by them.

Values in the cache are as of before the day's split, as the vendor's snapshot, ratio and float are.
"""

from collections.abc import Iterable

import msgspec

from app.errors import RestError
from app.market.splits import Split
from app.reference.bulk_rest import BulkRest
from app.reference.cache import MarketDataCache
from app.reference.store import PREFIX

#: A day's splits are kept so long (s).
KEPT_TTL_S = 20 * 3600.0


class DaySplits:
    """Splits by symbol: those that were kept, else those that the vendor names."""

    def __init__(self, cache: MarketDataCache) -> None:
        self._cache = cache

    async def keep(self, day: str, splits: Iterable[Split]) -> dict[str, Split]:
        """Of some splits those of a day (ISO date), by symbol; Redis has them for the others."""
        found = {split.ticker: split for split in splits if split.execution_date == day}
        await self._cache.write(found, _key(day), KEPT_TTL_S)
        return found

    async def of(self, day: str) -> dict[str, Split]:
        """A day's splits by symbol; none where the plan does not include them.

        Raises `RestError`: they are not kept, and the vendor could not be asked.
        """
        kept = await self._cache.read(_key(day))
        if isinstance(kept, dict):
            try:
                return msgspec.convert(kept, dict[str, Split])
            except msgspec.ValidationError:
                pass  # what cannot be read is asked for again
        try:
            splits = await BulkRest(self._cache.rest).splits(day, day)
        except RestError as error:
            if error.kind == "plan":
                return {}
            raise
        return await self.keep(day, splits)


def _key(day: str) -> str:
    return f"{PREFIX}:splits:{day}"
