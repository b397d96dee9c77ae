"""What the gateway has to know of the feed, as a record of `market.feed`, written whenever it changes."""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

import msgspec

from app import clock
from app.kafka.topics import FEED
from app.market.feed_state import KEY, FeedState
from producers.feed import Feed
from producers.routing import Routed

#: The event type under which these records are counted.
FEED_STATE: Final = "feed"

#: The vendor's answers to subscriptions come within so long; nobody is told "unanswered" before.
ANSWERS_S: Final = 3.0

#: How often the state is compared with what was written. A changed one is on the page a second later.
LOOK_S: Final = 0.5

_encode = msgspec.json.Encoder().encode


class Reported(Protocol):
    """What is reported of."""

    @property
    def feed(self) -> Feed | None:
        """The connection, where there is one."""

    @property
    def connected_since_s(self) -> float | None:
        """Since when (wall clock)."""

    @property
    def state(self) -> FeedState:
        """What is known of the feed now."""


class FeedReporter:
    """Hands over a record when another state than before is known."""

    def __init__(self, of: Reported, write: Callable[[Routed], None]) -> None:
        self._of, self._write = of, write
        self._written: FeedState | None = None

    async def keep(self) -> None:
        """Report now and then, until cancelled."""
        while True:
            feed, since_s = self._of.feed, self._of.connected_since_s
            if feed is None or feed.answers.all_answered or clock.wall_s() - (since_s or 0.0) > ANSWERS_S:
                self.report()
            await asyncio.sleep(LOOK_S)

    def report(self) -> None:
        """Write the state, unless it is what was written last."""
        state, written = self._of.state, self._written
        if written is None or msgspec.structs.replace(state, at_ms=written.at_ms) != written:
            self._written = state
            self._write(Routed(FEED.name, KEY.encode(), _encode(state), FEED_STATE))
