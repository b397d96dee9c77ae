"""What a plan of the vendor's has: channels, whether in real time, REST endpoints, calls per minute.

The ladder is that of individual stocks plans (https://massive.com/pricing and the vendor's documents of each
endpoint). Where a document names no plan for an endpoint, the simulator grants it from Starter on.
"""

from typing import Final

from msgspec import Struct

from app.settings import Plan

#: What a plan with late data is late by.
DELAY_MS: Final = 15 * 60_000

#: Topics of the vendor's stocks socket. Whatever else is asked for is ignored in silence.
CHANNELS: Final = frozenset({"A", "AM", "T", "Q", "LULD", "NOI", "FMV", "LV"})


class Rights(Struct, frozen=True):
    """What a plan has. `channels` is empty where it has no WebSocket; `endpoints` are named as in the statistics.

    `second_bars` are aggregates of seconds over REST; `today` is data of the present day before its close.
    `calls_per_minute` is None where there is no limit.
    """

    channels: frozenset[str]
    endpoints: frozenset[str]
    real_time: bool = False
    second_bars: bool = True
    today: bool = True
    calls_per_minute: int | None = None


_ALL: Final = frozenset(
    {
        "market_status",
        "holidays",
        "aggregates",
        "grouped",
        "tickers",
        "ticker_details",
        "ticker_events",
        "exchanges",
        "conditions",
        "splits",
    }
)
_STARTER: Final = _ALL | {"snapshot", "snapshots", "floats"}
_DEVELOPER: Final = _STARTER | {"trades"}

RIGHTS: Final = {
    Plan.BASIC: Rights(frozenset(), _ALL, second_bars=False, today=False, calls_per_minute=5),
    Plan.STARTER: Rights(frozenset({"A", "AM"}), _STARTER),
    Plan.DEVELOPER: Rights(frozenset({"A", "AM", "T"}), _DEVELOPER),
    Plan.ADVANCED: Rights(frozenset({"A", "AM", "T", "Q", "LULD"}), _DEVELOPER | {"ratios", "quotes"}, real_time=True),
}
