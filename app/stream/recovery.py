"""Faust's recovery with claims: partitions are claimed first, and read back up to their claims.

Partitions that this worker keeps are claimed again and not read. A step that fails ends the worker; Faust goes on with
its loop there, with what tables it has.
"""

import asyncio
from typing import Any

from aiokafka.errors import IllegalStateError
from faust.tables.manager import TableManager
from faust.tables.recovery import RebalanceAgain, Recovery, ServiceStopped

from app.stream.failing import fail
from app.stream.ownership import Ownership


class ClaimingRecovery(Recovery):
    """Claims the changelogs of batched tables before it reads them."""

    async def _build_highwaters(self, consumer: Any, tps: Any, destination: Any, title: str) -> None:
        claimable = getattr(self.tables, "ownership", None)
        batched = {tp for tp in tps if hasattr(self.tp_to_table[tp], "begin_recovery")}
        if title != "active" or claimable is None or not batched:
            await super()._build_highwaters(consumer, tps, destination, title)
            return
        others = set(tps) - batched
        destination.clear()
        if others:
            await super()._build_highwaters(consumer, others, destination, title)
        try:
            claims = await claimable.take((tp, self.tp_to_table[tp]) for tp in batched)
        except (asyncio.CancelledError, IllegalStateError):
            raise
        except Exception as error:
            fail(self.app, error)
            raise
        for tp, (offset, kept) in claims.items():
            destination[tp] = offset
            # What stands there counts as read. None: from the start.
            self.active_offsets[tp] = offset if kept else None

    async def _wait(self, coro: Any, timeout: Any = None) -> None:
        """Wait for a step. Faust goes on without it after a time; the watchdog judges here."""
        result = await self.wait_first(coro, self.signal_recovery_start)
        if result.stopped:
            raise ServiceStopped
        if self.signal_recovery_start in result.done:
            raise RebalanceAgain


class ClaimingTables(TableManager):
    """Faust's tables with a recovery that claims."""

    _recovery: Any = None

    def __init__(self, app: Any, **options: Any) -> None:
        super().__init__(app, **options)
        self.ownership = Ownership(app)

    @property
    def recovery(self) -> Any:
        """The recovery service."""
        if self._recovery is None:
            self._recovery = ClaimingRecovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._recovery

    async def on_stop(self) -> None:
        """Stop the tables, then their writers."""
        await super().on_stop()
        await self.ownership.close()
