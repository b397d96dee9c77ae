"""How many workers, partitions and bytes a load needs, computed from what was measured.

The load is the one to plan for, see docs/capacity.md. All of it is pure: figures in, needs out.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from app.commands.capacity_load import FIGURES, HOUR_S, Figures, Load
from app.commands.capacity_topics import TopicBytes, bytes_by_topic

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
    #: The same by topic, of one replica.
    by_topic: list[TopicBytes]


def needs(
    load: Mapping[str, Load],
    figures: Mapping[str, Figures] = FIGURES,
    *,
    replication_factor: int = 3,
    brokers: int = 3,
    slowdown: float = 1.0,
) -> Needs:
    """What a load needs. `slowdown` is how much slower a machine's core is than the measured one.

    Bytes count every replica, of each topic.
    """
    cores = cores_at_peak(load, figures) * slowdown
    workers = max(1, math.ceil(cores / USABLE))
    by_topic = bytes_by_topic(load, figures)
    held = sum(each.held for each in by_topic) * replication_factor
    return Needs(
        cores_at_peak=cores,
        workers=workers,
        partitions=_power_of_two(max(8, workers * PARTITIONS_PER_WORKER)),
        written_bytes_per_day=sum(each.written_per_day for each in by_topic) * replication_factor,
        held_bytes=held,
        disk_bytes_per_broker=held / brokers / DISK_FILL,
        peak_bytes_per_s=sum(each.peak_per_s for each in by_topic) * replication_factor,
        by_topic=by_topic,
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
