"""What MarketDataCache hands out, typed, and the vendor's REST answers as they stand on the wire.

Prices are US dollars, volumes and floats shares. A snapshot is kept in Redis as the very JSON that
the vendor sent, so that the vendor's own SDK reads it too.
"""

from datetime import date, datetime
from enum import StrEnum
from typing import Any, Generic, TypeVar

from msgspec import Raw, Struct, field

from app.market.calendar import NEW_YORK
from app.market.events import PreviousDay
from app.market.splits import Split

T = TypeVar("T")


class Kind(StrEnum):
    """The three kinds of reference data; the value is the part of the Redis key."""

    SNAPSHOT = "snapshots"
    AVG_VOLUME = "avg_volume"
    FREE_FLOAT = "free_float"


class State(StrEnum):
    """What is known of a value.

    `fresh`: within its time to live. `stale`: older, served because a newer one cannot be had now.
    `missing`: the vendor has none. `failed`: the vendor's REST failed and there is no older value;
    ask again later. `unavailable`: Redis is down and this process has no value.
    """

    FRESH = "fresh"
    STALE = "stale"
    MISSING = "missing"
    FAILED = "failed"
    UNAVAILABLE = "unavailable"


class Layer(StrEnum):
    """Where an answer came from."""

    MEMORY = "memory"
    REDIS = "redis"
    REST = "rest"


class Answer(Struct, Generic[T], frozen=True):
    """An answer of the cache: the value where there is one, and what it is worth.

    `age_s` is how long ago the value was fetched, None where that is not known. `reason` says in
    one word why a request failed.
    """

    value: T | None
    state: State
    layer: Layer
    age_s: float | None = None
    reason: str | None = None

    @property
    def settled(self) -> bool:
        """Whether asking again soon is pointless: the value is fresh, or known to be missing."""
        return self.state in (State.FRESH, State.MISSING)


class TickerSnapshot(Struct, frozen=True, omit_defaults=True):
    """A ticker's snapshot; `updated` is in ns, or in the unit that its magnitude tells.

    Typed is what is used here; the rest is handed on as the vendor sent it, so that an odd field does not cost the
    answer.
    """

    ticker: str
    todays_change: Any = field(default=None, name="todaysChange")
    todays_change_percent: Any = field(default=None, name="todaysChangePerc")
    updated: int | None = None
    day: PreviousDay | None = None
    previous_day: PreviousDay | None = field(default=None, name="prevDay")
    minute: Any = field(default=None, name="min")
    last_quote: Any = field(default=None, name="lastQuote")
    last_trade: Any = field(default=None, name="lastTrade")
    fair_market_value: Any = field(default=None, name="fmv")


class SnapshotBody(Struct, frozen=True):
    """REST's answer to a snapshot request; the ticker is kept as it was sent."""

    ticker: Raw = Raw(b"null")


class Ratio(Struct, frozen=True):
    """A row of the ratios endpoint."""

    average_volume: float | None = None


class RatiosBody(Struct, frozen=True):
    """REST's answer to a ratios request."""

    results: list[Ratio] | None = None


class DailyBar(Struct, frozen=True):
    """A daily bar; only what the mean needs. `start_ms` is the day's midnight in New York."""

    volume: float | None = field(default=None, name="v")
    start_ms: int | None = field(default=None, name="t")

    def date(self) -> date | None:
        """The bar's day in New York, where it says one."""
        return None if self.start_ms is None else datetime.fromtimestamp(self.start_ms / 1000, NEW_YORK).date()


class BarsBody(Struct, frozen=True):
    """REST's answer to a request for daily bars; an empty range has no `results`."""

    results: list[DailyBar] | None = None


class FloatRow(Struct, frozen=True):
    """A row of the float endpoint."""

    free_float: float | None = None


class FloatsBody(Struct, frozen=True):
    """REST's answer to a float request."""

    results: list[FloatRow] | None = None


class SplitsBody(Struct, frozen=True):
    """REST's answer to a request for splits."""

    results: list[Split] | None = None
