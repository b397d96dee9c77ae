"""How much disk the data directory takes, and the bound of what the local Kafka keeps."""

import os
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from app import clock
from app.kafka import topics
from app.kafka.topics import TopicSpec

MIB = 1024 * 1024

#: Shares of the bound (per cent) by what the simulated market writes; the others share the rest.
_SHARES = {topics.QUOTES.name: 36, topics.TRADES.name: 28, topics.AGGREGATES.name: 12}

#: A segment is the least that Kafka deletes, and must hold the largest batch.
LEAST_SEGMENT_BYTES = topics.MAX_MESSAGE_BYTES + MIB

#: The directory is looked at this often, and its growth is that of this time.
LOOK_EVERY_S, GROWTH_OVER_S = 20.0, 300.0


def bounded(specs: Iterable[TopicSpec], limit_bytes: int, partitions: int) -> list[TopicSpec]:
    """The topics with the bytes that each partition may keep, together at most the limit and a segment of each.

    Compacted topics stay as they are: they are as large as their tables.
    """
    found = list(specs)
    others = [spec for spec in found if spec.cleanup == "delete" and spec.name not in _SHARES]
    rest = (100 - sum(_SHARES.values())) / max(len(others), 1)
    return [
        spec
        if spec.cleanup != "delete"
        else _bounded(spec, limit_bytes * _SHARES.get(spec.name, rest) / 100, partitions)
        for spec in found
    ]


def _bounded(spec: TopicSpec, bytes_: float, partitions: int) -> TopicSpec:
    each = int(bytes_ / (1 if spec.single_partition else partitions))
    segment = min(max(each // 4, LEAST_SEGMENT_BYTES), spec.segment_bytes)
    # Kafka deletes a segment when the rest is still this large.
    return replace(spec, retention_bytes=max(each - segment, MIB), segment_bytes=segment)


def used_bytes(directory: Path) -> int:
    """The disk that a directory takes, files that go away meanwhile left out."""
    total = 0
    for root, _, names in os.walk(directory):
        for name in names:
            try:
                total += os.lstat(os.path.join(root, name)).st_blocks * 512
            except FileNotFoundError:
                continue
    return total


@dataclass(frozen=True, slots=True)
class Usage:
    """The disk of a data directory; growth is None until some minutes were seen."""

    used_bytes: int
    limit_bytes: int | None
    growth_bytes_per_h: int | None

    def told(self) -> str:
        """In one sentence."""
        text = f"{self.used_bytes / MIB:,.0f} MiB used"
        if self.growth_bytes_per_h is not None:
            text += f", {self.growth_bytes_per_h / MIB:+,.0f} MiB an hour"
        if self.limit_bytes is not None:
            text += f"; of events at most {self.limit_bytes / MIB:,.0f} MiB are kept (TAPEREADER_KAFKA_DISK_MIB)"
        return text


class DiskWatch:
    """Looks at a data directory now and then."""

    def __init__(self, data_dir: Path, limit_bytes: int | None) -> None:
        self._data_dir, self._limit_bytes = data_dir, limit_bytes
        self._seen: deque[tuple[float, int]] = deque()

    def usage(self) -> Usage:
        """As it was at the last look; looks again when that is some seconds ago."""
        now_s = clock.monotonic_s()
        if not self._seen or now_s - self._seen[-1][0] >= LOOK_EVERY_S:
            self._seen.append((now_s, used_bytes(self._data_dir)))
            while self._seen[-1][0] - self._seen[0][0] > GROWTH_OVER_S:
                self._seen.popleft()
        (first_s, first), (last_s, last) = self._seen[0], self._seen[-1]
        growth = round((last - first) / (last_s - first_s) * 3600) if last_s - first_s >= 2 * LOOK_EVERY_S else None
        return Usage(last, self._limit_bytes, growth)
