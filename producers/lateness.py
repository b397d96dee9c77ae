"""How late the feed is: the time of its newest event against the market's time at its receipt.

The market's time is asked of the vendor's REST (`serverTime`), since a simulated market has one of its own.
"""

import asyncio
from typing import Final

import msgspec

from app import clock
from app.errors import UNREADABLE
from app.market.events import epoch_ms
from app.market.feed_state import LATE_S
from app.market.whole_numbers import decoder_of
from producers.market_status import MarketStatus

#: The first look follows the first events soon; then each half minute does, at 2 of the vendor's calls a minute.
FIRST_LOOK_S: Final = 2.0
LOOK_EVERY_S: Final = 30.0

#: An event that came longer ago than this says nothing of now: at this age a second-long bar is the newest of few.
FRESH_S: Final = 2.0


class _Times(msgspec.Struct):
    """The times of an event: a bar's end, or that of a trade, quote or band."""

    e: int | None = None
    t: int | None = None


_decode = decoder_of(_Times)


class Lateness:
    """The lag of a feed; `note` is called with an event of each frame, `watch` asks now and then."""

    def __init__(self, status: MarketStatus) -> None:
        self._status = status
        self._newest: tuple[bytes, float] | None = None
        self.lag_s: float | None = None

    @property
    def late(self) -> bool | None:
        """Whether events lag their receipt by more than a minute; None: not known yet."""
        return None if self.lag_s is None else self.lag_s > LATE_S

    def note(self, event: bytes, received_s: float) -> None:
        """The last event of a frame, as JSON, and when it came (wall clock)."""
        self._newest = event, received_s

    def forget(self) -> None:
        """Another feed: nothing is known of it."""
        self._newest = self.lag_s = None

    async def look(self) -> None:
        """Compare the newest event with the market's time, where that says something."""
        server_ms = await self._status.server_ms()
        if server_ms is None or self._newest is None:
            return
        event, received_s = self._newest
        if clock.wall_s() - received_s > FRESH_S:
            return
        try:
            times = _decode(event)
        except UNREADABLE:
            return
        stamp = times.e if times.e is not None else times.t
        if stamp is not None:
            self.lag_s = max((server_ms - epoch_ms(stamp)) / 1000, 0.0)

    async def watch(self) -> None:
        """Look now and then, until cancelled."""
        while True:
            await asyncio.sleep(FIRST_LOOK_S if self.lag_s is None else LOOK_EVERY_S)
            if self._newest is not None:
                await self.look()
