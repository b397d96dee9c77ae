"""What no codec can read is named by its offsets, and what is around it is read."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords

from app.stream.batches import Undecodable
from app.stream.internals import BEHIND_END_LOOKS, drain


def record_batch(first: int, count: int, *, broken: bool = False, headers: Sequence[tuple[str, Any]] = ()) -> bytes:
    """A record batch as Kafka stores it; a broken one fails its checksum."""
    builder = DefaultRecordBatchBuilder(
        2, 0, is_transactional=0, producer_id=-1, producer_epoch=-1, base_sequence=0, batch_size=9999
    )
    for offset in range(count):
        builder.append(offset, 1000 + offset, b"key", b"value", list(headers))
    data = bytearray(builder.build())
    data[0:8] = first.to_bytes(8, "big")
    if broken:
        data[-3] ^= 0xFF
    return bytes(data)


def fetched(data: bytes, position: int, end: int = 100, state: Any = None) -> Any:
    """What a fetch from a position on has brought of a partition that ends before an offset."""
    state = state or SimpleNamespace()
    state.highwater = end
    parsed = SimpleNamespace(_records=MemoryRecords(data), next_fetch_offset=position)
    result = SimpleNamespace(_topic_partition=("t", 0), _partition_records=parsed, positions=[])
    result._assignment = SimpleNamespace(state_value=lambda tp: state)
    result.has_more = lambda: result._partition_records is not None
    result.check_assignment = lambda tp: True
    result._update_position = lambda: result.positions.append(parsed.next_fetch_offset)
    return result


def test_a_broken_record_batch_is_skipped_by_its_offsets() -> None:
    """The batches before and behind it are delivered, in order."""
    result = fetched(record_batch(10, 3) + record_batch(13, 4, broken=True) + record_batch(20, 2), 10)
    batch = drain(result, "t", 0, check_crcs=True)

    assert batch is not None
    assert batch.offsets == [10, 11, 12, 20, 21]
    assert batch.next_offset == 22
    assert batch.undecodable == [
        Undecodable(13, 17, "CorruptRecordException: [Error 2] CorruptRecordException: the checksum does not match")
    ]
    assert result.positions == [22]


def test_records_before_the_position_are_left_out() -> None:
    """A record batch is fetched whole, though reading began in its middle."""
    batch = drain(fetched(record_batch(10, 5), 12), "t", 0, check_crcs=True)

    assert batch is not None
    assert batch.offsets == [12, 13, 14]


def test_only_broken_batches_still_move_the_position() -> None:
    """A partition does not stand still at what it cannot read."""
    batch = drain(fetched(record_batch(10, 5, broken=True), 10), "t", 0, check_crcs=True)

    assert batch is not None
    assert len(batch) == 0
    assert batch.next_offset == 15


def damaged(data: bytes, place: int, value: int) -> bytes:
    """A record batch with one byte changed."""
    found = bytearray(data)
    found[place] = value
    return bytes(found)


#: Where the fields stand by which a record batch says where it begins and ends: its base offset (8 bytes) is in no
#: checksum, the distance to its last offset (4 bytes) is.
BASE_OFFSET, LAST_OFFSET_DELTA = range(8), range(23, 27)


@pytest.mark.parametrize("place", [*BASE_OFFSET, *LAST_OFFSET_DELTA])
@pytest.mark.parametrize("value", [0x00, 0x01, 0x7F, 0xFF])
def test_damaged_offsets_cost_their_record_batch_alone(place: int, value: int) -> None:
    """Nothing before or behind it is lost, and reading goes on: its own word of where it ends is not believed."""
    whole = record_batch(13, 4)
    state = SimpleNamespace(behind_end=(13, BEHIND_END_LOOKS))  # It was fetched again, and is the same.
    result = fetched(record_batch(10, 3) + damaged(whole, place, value) + record_batch(17, 2), 10, 19, state)
    batch = drain(result, "t", 0, check_crcs=True)

    assert batch is not None
    assert batch.next_offset == 19
    if damaged(whole, place, value) == whole:
        assert batch.offsets == [*range(10, 19)]
    else:
        assert batch.offsets == [10, 11, 12, 17, 18]
        ((first, after, reason),) = batch.undecodable
        assert 13 <= first < after <= 17
        assert reason.startswith("CorruptRecordException")


@pytest.mark.parametrize("place", [*BASE_OFFSET, *LAST_OFFSET_DELTA])
@pytest.mark.parametrize("value", [0x01, 0x7F, 0xFF])
def test_reading_goes_on_at_the_partitions_end_at_the_latest(place: int, value: int) -> None:
    """A damaged record batch that is the last of a fetch: what comes after it was not read yet."""
    data, state = damaged(record_batch(13, 4), place, value), SimpleNamespace()
    looks = (drain(fetched(data, 13, 17, state), "t", 0, check_crcs=True) for _ in range(BEHIND_END_LOOKS))
    batch = next(found for found in looks if found is not None)

    assert 13 < batch.next_offset <= 17
    assert (len(batch), len(batch.undecodable)) == (0, 1)


def test_what_came_after_kafka_had_looked_for_the_end_is_no_damage() -> None:
    """Kafka tells the end as it was before it read. What is behind it is read with the next fetch, all of it."""
    data, state = record_batch(10, 3) + record_batch(13, 4), SimpleNamespace()
    first = drain(fetched(data, 10, 13, state), "t", 0, check_crcs=True)
    assert first is not None
    assert (first.offsets, first.next_offset, first.undecodable) == ([10, 11, 12], 13, [])
    assert drain(fetched(record_batch(13, 4), 13, 13, state), "t", 0, check_crcs=True) is None
    second = drain(fetched(record_batch(13, 4), 13, 17, state), "t", 0, check_crcs=True)
    assert second is not None
    assert (second.offsets, second.next_offset, second.undecodable) == ([13, 14, 15, 16], 17, [])


@pytest.mark.parametrize(
    ("header", "traces"),
    [
        (("traceparent", b"00-1-2-01"), [b"00-1-2-01"]),
        (("traceparent", b""), []),
        (("traceparent", None), []),
        (("other", b"x"), []),
    ],
)
def test_a_trace_header_that_holds_nothing_costs_no_record(header: tuple[str, Any], traces: list[bytes]) -> None:
    """A header may be null in Kafka; a batch with such a trace ended the worker, and the next one too."""
    batch = drain(
        fetched(record_batch(10, 3, headers=[header]), 10), "t", 0, check_crcs=True, trace_header="traceparent"
    )

    assert batch is not None
    assert batch.offsets == [10, 11, 12]
    assert batch.traces == traces
