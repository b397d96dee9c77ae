"""The records of the public tables, as anyone who reads their topics finds them.

Prices are US dollars, volumes shares, percentages in per cent (not fractions), times Unix epoch
milliseconds. None means not known. Nothing is rounded.
"""

from msgspec import Struct


class QuoteRow(Struct, frozen=True, gc=False):
    """The row of a symbol in `market.quotes`: its last aggregate, reference data, derived figures.

    `day` is its trading day (ISO date), `open` the symbol's first price of the session, which
    starts afresh at 04:00 and at 09:30 ET; `opened_regular` tells which of the two it is from.
    `received_ns` is when the producer received the aggregate. `accumulated_volume` is the most that any bar of the
    day told, `aggregate_vwap` the average price told with it: a bar that comes late raises them and changes no other
    field but `open`, where it began earlier. `dollar_volume` is the day's volume times the day's average price,
    `pct_open_gap` how far `open` is from the previous day's close, `open_timestamp` when the bar of `open` began.
    """

    symbol: str
    day: str
    opened_regular: bool
    volume: float | None
    accumulated_volume: float | None
    official_open_price: float | None
    vwap: float | None
    open: float | None
    close: float | None
    high: float | None
    low: float | None
    aggregate_vwap: float | None
    average_size: float | None
    start_timestamp: int | None
    end_timestamp: int | None
    prev_day_close: float | None = None
    prev_day_open: float | None = None
    prev_day_high: float | None = None
    prev_day_low: float | None = None
    prev_day_volume: float | None = None
    prev_day_vwap: float | None = None
    avg_volume: float | None = None
    free_float: float | None = None
    change: float | None = None
    pct_change: float | None = None
    change_since_open: float | None = None
    pct_change_since_open: float | None = None
    relative_volume: float | None = None
    received_ns: int | None = None
    dollar_volume: float | None = None
    pct_open_gap: float | None = None
    open_timestamp: int | None = None
