"""The vendor's table of trade conditions: asked for once a day by one process, read from Redis by all."""

from collections.abc import Mapping

import msgspec
import structlog

from app.errors import RestError
from app.market.trade_conditions import Condition, with_rules
from app.reference.bulk_rest import BulkRest
from app.reference.cache import MarketDataCache
from app.reference.store import PREFIX

log = structlog.get_logger(__name__)

#: Whoever asked, nobody asks again within this long (s), over restarts.
ASKED_TTL_S = 24 * 3600.0

#: A table is kept so long (s): over days on which the vendor does not answer.
KEPT_TTL_S = 10 * 86_400.0

_ASKED, _KEPT = f"{PREFIX}:conditions:asked", f"{PREFIX}:conditions"

#: What an ordinary sale is; a table by which it sets no price is none.
_REGULAR_SALE = 0


class Conditions:
    """The table as the vendor has it, where it could be had; the built-in copy holds until then."""

    def __init__(self, cache: MarketDataCache) -> None:
        self._cache = cache
        self._said = False

    async def fetch(self) -> bool:
        """Ask the vendor, unless somebody has within a day; false where it is to be asked again.

        A plan that does not include it is an answer. What is no table changes nothing, and is said once.
        """
        if await self._cache.read(_ASKED):
            return True
        try:
            found = with_rules(await BulkRest(self._cache.rest).conditions())
            if not found[_REGULAR_SALE].last:
                raise RestError("garbage", "REST: conditions: expected a regular sale (0) to set the last price")
        except RestError as error:
            if error.kind == "plan":
                # Who refused is remembered for a day, and said, where plans are known.
                return True
            if not self._said:
                log.warning("conditions_failed", error=str(error), effect="the table that is known stays")
            self._said = True
            return False
        self._said = False
        await self._cache.write(found, _KEPT, KEPT_TTL_S)
        await self._cache.write(len(found), _ASKED, ASKED_TTL_S)
        log.info("conditions_fetched", conditions=len(found))
        return True

    async def known(self) -> Mapping[int, Condition] | None:
        """The table that was fetched last; None: none was, or Redis is down."""
        kept = await self._cache.read(_KEPT)
        if kept is None:
            return None
        try:
            return msgspec.convert(kept, dict[int, Condition], strict=False)
        except msgspec.ValidationError as error:
            log.warning("conditions_unreadable", error=str(error), effect="the table that is known stays")
            return None
