"""How many workers, partitions and bytes a load needs, computed from what was measured.

`FIGURES` are those of `benchmarks/results/worker.json` (`python -m benchmarks.worker`), a test compares
the two. The load is the one to plan for, see docs/capacity.md. All of it is pure: figures in, needs out.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

HOUR_S: Final = 3600.0


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

#: Part of a core that a worker uses at the peak: the rest is for recovery, commits and bursts.
USABLE: Final = 0.7

#: Partitions for each worker, so that workers can be added without new partitions.
PARTITIONS_PER_WORKER: Final = 4

#: Share of a broker's disk that is filled when all goes well.
DISK_FILL: Final = 0.6


@dataclass(frozen=True, slots=True)
class Needs:
    """What a load needs: workers at one core each, partitions, and Kafka's bytes."""

    cores_at_peak: float
    workers: int
    partitions: int
    written_bytes_per_day: float
    held_bytes: float
    disk_bytes_per_broker: float
    peak_bytes_per_s: float


def needs(
    load: Mapping[str, Load],
    figures: Mapping[str, Figures] = FIGURES,
    *,
    replication_factor: int = 3,
    brokers: int = 3,
    slowdown: float = 1.0,
) -> Needs:
    """What a load needs. `slowdown` is how much slower a machine's core is than the measured one.

    `held_bytes` and `written_bytes_per_day` count every replica. Tables are small beside raw events and
    compacted: what they write counts for the day, a day of it for what is held.
    """
    cores = cores_at_peak(load, figures) * slowdown
    workers = max(1, math.ceil(cores / USABLE))
    raw = {kind: each.per_day * figures[kind].bytes_quiet for kind, each in load.items()}
    tables = sum(each.per_day * figures[kind].row_bytes_quiet for kind, each in load.items())
    # Most of a day's events come in the six and a half hours of its regular session.
    held = sum(bytes_ * min(1.0, load[kind].retention_h / 6.5) for kind, bytes_ in raw.items()) + tables
    held *= replication_factor
    peak = sum(
        each.peak_per_s * (figures[kind].bytes_busy + figures[kind].row_bytes_busy) for kind, each in load.items()
    )
    return Needs(
        cores_at_peak=cores,
        workers=workers,
        partitions=_power_of_two(max(8, workers * PARTITIONS_PER_WORKER)),
        written_bytes_per_day=(sum(raw.values()) + tables) * replication_factor,
        held_bytes=held,
        disk_bytes_per_broker=held / brokers / DISK_FILL,
        peak_bytes_per_s=peak * replication_factor,
    )


def cores_at_peak(load: Mapping[str, Load], figures: Mapping[str, Figures] = FIGURES) -> float:
    """CPU seconds per second that workers spend at the peak."""
    return sum(each.peak_per_s * figures[kind].cpu_us for kind, each in load.items()) / 1e6


def _power_of_two(number: int) -> int:
    return 1 << (number - 1).bit_length()


@dataclass(frozen=True, slots=True)
class Course:
    """How a number of workers gets through an hour: the longest delay, the most that waits, until when."""

    workers: int
    longest_delay_s: float
    most_waiting: float
    behind_until_s: float | None


def opening(load: Mapping[str, Load], seconds: int = 3600) -> list[float]:
    """Shares of the peak for each second after the open: a minute of it, then falling to a tenth.

    The half-life of 300 s is an assumption: the rate after the open falls to the day's within the hour.
    """
    mean = sum(each.per_day for each in load.values()) / (16 * HOUR_S)
    peak = sum(each.peak_per_s for each in load.values())
    floor = min(max(mean / peak, 0.1), 1.0)
    return [1.0 if second < 60 else max(0.5 ** ((second - 60) / 300), floor) for second in range(seconds)]


def course(
    load: Mapping[str, Load],
    workers: int,
    figures: Mapping[str, Figures] = FIGURES,
    *,
    profile: Sequence[float] | None = None,
    slowdown: float = 1.0,
) -> Course:
    """Simulate an hour from the open, second by second: CPU time asked for beside CPU time there is.

    A queue in front of `workers` cores; what waits is in CPU seconds, and as events by the mix's mean.
    """
    shares = opening(load) if profile is None else profile
    asked = cores_at_peak(load, figures) * slowdown
    per_event_s = asked / sum(each.peak_per_s for each in load.values())
    waiting = longest = most = 0.0
    behind_until_s: float | None = 0.0
    for second, share in enumerate(shares):
        waiting = max(waiting + share * asked - workers, 0.0)
        longest, most = max(longest, waiting / workers), max(most, waiting)
        # Less than a tenth of a second of work is what batches hold anyway.
        if waiting > 0.1 * workers:
            behind_until_s = second + 1.0
    if waiting > 0.1 * workers:
        behind_until_s = None
    return Course(workers, longest, most / per_event_s, behind_until_s)
