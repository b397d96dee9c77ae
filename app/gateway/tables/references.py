"""The gateway's reference data: a MarketDataCache while the gateway is up, or the reason why there is none."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from fastapi import Request

from app.errors import SettingsError
from app.gateway.protocol.problems import Problem
from app.reference.cache import MarketDataCache
from app.reference.opening import open_cache
from app.settings import Settings

log = structlog.get_logger(__name__)


class References:
    """Opens the cache, which works, degraded, without Redis; without a key for REST there is none."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
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
            yield
        finally:
            self._cache, self._lacking = None, "the gateway is shutting down"
            await opening.__aexit__(None, None, None)

    def cache(self, _: Request) -> MarketDataCache:
        """The cache. Raises `Problem` (503) where there is none."""
        if self._cache is None:
            raise Problem(503, "reference-unavailable", f"this gateway has no reference data: {self._lacking}")
        return self._cache
