"""Faust's tables and their recovery, with batched tables taken over partition by partition.

Faust reads all changelogs back before anything goes on. Of batched tables it is told nothing: it seeks the sources and
lets them flow at once, and `Takeover` holds those whose partition is not here yet. Its own tables go on as ever. A
step that fails ends the worker; Faust goes on with its loop there, with what tables it has.
"""

import asyncio
from typing import Any

from aiokafka.errors import IllegalStateError
from faust.tables.manager import TableManager
from faust.tables.recovery import RebalanceAgain, Recovery, ServiceStopped
from faust.types import TP

from app.stream.failing import fail
from app.stream.takeover import Takeover


class ClaimingRecovery(Recovery):
    """Hands the partitions of batched tables to `Takeover`."""

    async def on_rebalance(
        self, assigned: set[TP], revoked: set[TP], newly_assigned: set[TP], generation_id: int = 0
    ) -> None:
        """Note what is owned and what is stood by for."""
        await super().on_rebalance(assigned, revoked, newly_assigned, generation_id)
        if generation_id != self.app.consumer_generation_id:
            return
        actives = {tp: self.tp_to_table[tp] for tp in self.active_tps if is_batched(self.tp_to_table[tp])}
        standbys = {tp for tp in self.standby_tps if is_batched(self.tp_to_table[tp])}
        # Faust's tasks hold these very sets.
        self.active_tps.difference_update(actives)
        self.standby_tps.difference_update(standbys)
        for tp in actives:
            self.active_offsets.pop(tp, None)
        self.tables.takeover.assign(actives, standbys)

    async def on_recovery_completed(self, generation_id: int = 0) -> None:
        """Claim what is kept; let the sources flow; take over what is gained, beside them."""
        takeover = self.tables.takeover
        try:
            await takeover.keep()
        except (asyncio.CancelledError, IllegalStateError):
            raise
        except Exception as error:
            fail(self.app, error)
            raise
        if generation_id == self.app.consumer_generation_id:
            takeover.begin()
        await super().on_recovery_completed(generation_id)

    async def _wait(self, coro: Any, timeout: Any = None) -> None:
        """Wait for a step. Faust goes on without it after a time; the watchdog judges here."""
        result = await self.wait_first(coro, self.signal_recovery_start)
        if result.stopped:
            raise ServiceStopped
        if self.signal_recovery_start in result.done:
            raise RebalanceAgain


def is_batched(table: Any) -> bool:
    """Whether a table is one of ours."""
    return hasattr(table, "take_in")


class ClaimingTables(TableManager):
    """Faust's tables with a recovery that claims."""

    _recovery: Any = None

    def __init__(self, app: Any, **options: Any) -> None:
        super().__init__(app, **options)
        self.takeover = Takeover(app)

    @property
    def recovery(self) -> Any:
        """The recovery service."""
        if self._recovery is None:
            self._recovery = ClaimingRecovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._recovery

    async def on_start(self) -> None:
        """Register the tables and start their recovery, at once.

        Faust waits for a second first, so that agents may register. Who subscribes waits for each agent and for the
        tables by itself, so that the second was one of each start and nothing else.
        """
        if not self.should_stop:
            await self._update_channels()
            await self.recovery.start()

    async def on_stop(self) -> None:
        """Stop the tables, then their writers."""
        await super().on_stop()
        await self.takeover.close()
