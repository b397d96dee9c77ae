"""What the key's plan does not include: an endpoint that answered 403 is left alone for a day.

The vendor answers 403 for every symbol alike, so that one answer is enough for all processes that share
the key; it is kept in Redis. A key of another plan is another name there, and asks anew.
"""

import hashlib
from enum import StrEnum

import structlog

from app import clock
from app.errors import StoreDown
from app.reference.store import PREFIX, RedisStore

log = structlog.get_logger(__name__)

#: A plan that was upgraded is noticed after this long (s).
REFUSED_FOR_S = 86_400

#: Redis is asked again after this long (s); until then a process goes by what it was told.
LOOK_AGAIN_S = 60.0


class Endpoint(StrEnum):
    """The vendor's endpoints as plans include them or not."""

    SNAPSHOT = "snapshot"
    RATIOS = "ratios"
    FLOATS = "floats"
    DAILY_BARS = "daily_bars"
    GROUPED = "grouped"
    SPLITS = "splits"
    TICKERS = "tickers"
    STATUS = "market_status"
    CONDITIONS = "conditions"


class Entitlements:
    """Which endpoints the plan of an API key refuses."""

    def __init__(self, store: RedisStore, api_key: str) -> None:
        self._store = store
        self._name = hashlib.sha256(api_key.encode()).hexdigest()[:12]
        self._known: dict[Endpoint, tuple[bool, float]] = {}

    async def refused(self, endpoint: Endpoint) -> bool:
        """Whether the plan is known not to include an endpoint; without Redis, as far as this process knows."""
        refused, until_s = self._known.get(endpoint, (False, 0.0))
        now_s = clock.monotonic_s()
        if now_s < until_s:
            return refused
        try:
            data, left_ms = await self._store.get(self._key(endpoint))
        except StoreDown:
            return refused
        life_s = left_ms / 1000 if data is not None and left_ms > 0 else LOOK_AGAIN_S
        self._known[endpoint] = data is not None, now_s + min(life_s, LOOK_AGAIN_S)
        return data is not None

    async def refuse(self, endpoint: Endpoint, told: str) -> None:
        """The vendor has answered 403; said once a day."""
        if await self.refused(endpoint):
            return
        self._known[endpoint] = True, clock.monotonic_s() + LOOK_AGAIN_S
        log.warning("rest_not_in_plan", endpoint=endpoint.value, effect="not asked for a day", told=told)
        try:
            await self._store.run("refuse", lambda: self._store.client.set(self._key(endpoint), told, ex=REFUSED_FOR_S))
        except StoreDown:
            return  # the next process is told by the vendor itself

    def _key(self, endpoint: Endpoint) -> str:
        return f"{PREFIX}:plan:{self._name}:{endpoint.value}"
