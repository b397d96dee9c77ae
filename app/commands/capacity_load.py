"""What capacity is computed from: what an event costs, as measured, and the load to plan for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

HOUR_S: Final = 3600.0
#: The regular session (s), in which most of a day's events come.
REGULAR_S: Final = 6.5 * HOUR_S


@dataclass(frozen=True, slots=True)
class Figures:
    """What one kind of event costs, as measured.

    `cpu_us` is the worker's CPU time for each event while it is behind, as at the open. `bytes` are what
    Kafka stores of it, `row_bytes` what the tables write for it: in rounds of few events, followed at
    once (quiet), and in rounds of many with a worker that is behind (busy).
    """

    cpu_us: float
    bytes_quiet: float
    bytes_busy: float
    row_bytes_quiet: float
    row_bytes_busy: float


@dataclass(frozen=True, slots=True)
class Load:
    """Events of one kind: the rate of the busiest minute, how many a day has, how long Kafka keeps them."""

    peak_per_s: float
    per_day: float
    retention_h: float


FIGURES: Final[Mapping[str, Figures]] = {
    "A": Figures(11.13, 57.8, 23.6, 71.6, 2.3),
    "T": Figures(19.1, 55.4, 24.5, 56.4, 52.2),
    "Q": Figures(6.03, 59.5, 27.2, 66.9, 1.6),
}

#: The whole tape. Peak: what is planned for in the first minute after the open. A day: 70 million trades
#: (seen on one day of 2024); a bar has a trade at least, so that there are no more bars than trades;
#: quotes at 8,000/s over the 16 hours of the three sessions.
WHOLE_TAPE: Final[Mapping[str, Load]] = {
    "A": Load(10_000, 70e6, 6),
    "T": Load(50_000, 70e6, 6),
    "Q": Load(200_000, 8_000 * 16 * HOUR_S, 2),
}
