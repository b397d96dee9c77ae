"""Is the market open, and what time is it there? Asked of Massive's REST API with the vendor's SDK, in a thread."""

import asyncio
from datetime import datetime
from typing import Any

import structlog
from massive import RESTClient
from massive.exceptions import BadResponse
from urllib3.exceptions import HTTPError

log = structlog.get_logger(__name__)


class MarketStatus:
    """Asks for the market's status; the SDK blocks, so it runs in a thread."""

    def __init__(self, api_key: str, rest_url: str) -> None:
        # No retries of the SDK's own: it would wait as long as the server's Retry-After says.
        self._client = RESTClient(
            api_key=api_key, base=rest_url, connect_timeout=5.0, read_timeout=5.0,
            connection_pool_kw={"retries": False},
        )  # fmt: skip

    async def is_open(self) -> bool | None:
        """Whether events are to be expected (extended hours too); None when nobody can say."""
        status = await self._ask()
        market = getattr(status, "market", None)
        if market is None:
            return None
        return market != "closed" or bool(status.early_hours) or bool(status.after_hours)

    async def server_ms(self) -> int | None:
        """The market's time (epoch ms) as the vendor has it; None when it does not say."""
        status = await self._ask()
        try:
            return int(datetime.fromisoformat(status.server_time).timestamp() * 1000)
        except (AttributeError, TypeError, ValueError):
            return None

    async def _ask(self) -> Any:
        try:
            return await asyncio.to_thread(self._client.get_market_status)
        except (BadResponse, HTTPError, OSError, ValueError, RecursionError, AttributeError) as error:
            log.warning("market_status_unknown", error=type(error).__name__)
            return None
