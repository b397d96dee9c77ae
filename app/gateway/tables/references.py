"""The gateway's reference data: a MarketDataCache while the gateway is up, or the reason why there is none."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import structlog
from fastapi import Request

from app.background import Background
from app.errors import SettingsError
from app.gateway.protocol.problems import Problem
from app.market.trade_conditions import ConditionTable
from app.reference.cache import MarketDataCache
from app.reference.conditions import Conditions
from app.reference.opening import open_cache
from app.settings import Settings

log = structlog.get_logger(__name__)


#: The conditions of trades are looked for this often (s); their table changes about once in some years.
LOOK_EVERY_S = 60.0


class References:
    """Opens the cache, which works, degraded, without Redis; without a key for REST there is none.

    While it is open, `conditions` follows the table that a worker fetched.
    """

    def __init__(self, settings: Settings, conditions: ConditionTable, failed: Callable[[Exception], None]) -> None:
        self._settings, self._conditions, self._failed = settings, conditions, failed
        self._cache: MarketDataCache | None = None
        self._lacking = "the gateway is starting"

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Hold the cache open."""
        try:
            opening = open_cache(self._settings)
            self._cache = await opening.__aenter__()
        except SettingsError as error:
            self._lacking = str(error)
            log.warning("reference_data_off", reason=str(error))
            yield
            return
        try:
            async with Background("conditions", self._learn_conditions, (), self._failed):
                yield
        finally:
            self._cache, self._lacking = None, "the gateway is shutting down"
            await opening.__aexit__(None, None, None)

    async def _learn_conditions(self) -> None:
        assert self._cache is not None
        conditions = Conditions(self._cache)
        while True:
            known = await conditions.known()
            if known is not None:
                self._conditions.replace(known)
            await asyncio.sleep(LOOK_EVERY_S)

    def cache(self, _: Request) -> MarketDataCache:
        """The cache. Raises `Problem` (503) where there is none."""
        if self._cache is None:
            raise Problem(503, "reference-unavailable", f"this gateway has no reference data: {self._lacking}")
        return self._cache
