"""What the local Kafka keeps is bounded in bytes, and the data directory's size and growth are told."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import clock
from app.kafka.topics import ALL_TOPICS
from app.local.disk import LEAST_SEGMENT_BYTES, MIB, DiskWatch, Usage, bounded, used_bytes


@given(limit_mib=st.integers(512, 1_000_000), partitions=st.integers(1, 64))
def test_the_partitions_of_all_topics_keep_the_limit_and_a_segment_of_each_at_most(
    limit_mib: int, partitions: int
) -> None:
    specs = bounded(ALL_TOPICS, limit_mib * MIB, partitions)
    assert [spec.name for spec in specs] == [spec.name for spec in ALL_TOPICS]
    kept = segments = 0
    for spec, declared in zip(specs, ALL_TOPICS, strict=True):
        count = 1 if spec.single_partition else partitions
        if declared.cleanup == "compact":
            assert spec == declared
            continue
        assert spec.retention_bytes is not None
        assert LEAST_SEGMENT_BYTES <= spec.segment_bytes <= declared.segment_bytes
        assert spec.config()["retention.bytes"] == str(spec.retention_bytes)
        kept += count * max(spec.retention_bytes, MIB)
        segments += count * spec.segment_bytes
    assert kept <= limit_mib * MIB + segments


def test_without_a_bound_a_topic_is_as_declared() -> None:
    assert all("retention.bytes" not in spec.config() for spec in ALL_TOPICS)


def test_size_and_growth_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = clock.monotonic_s()
    monkeypatch.setattr(clock, "monotonic_s", lambda: now_s)
    watch = DiskWatch(tmp_path, 4096 * MIB)
    assert watch.usage().growth_bytes_per_h is None
    for number in range(3):
        (tmp_path / f"{number}").write_bytes(b"x" * MIB)
        now_s += 20.0
        usage = watch.usage()
    assert usage.used_bytes == used_bytes(tmp_path) >= 3 * MIB
    assert usage.growth_bytes_per_h == pytest.approx(3 * MIB * 60, rel=0.02)
    assert usage.told().startswith("3 MiB used, +180 MiB an hour; of events at most 4,096 MiB are kept")
    assert Usage(MIB, None, None).told() == "1 MiB used"
