"""Batches slice by offset and halve without losing a record."""

from typing import NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.stream.batches import RecordBatch, where


class Rec(NamedTuple):
    offset: int
    timestamp: int = 0
    key: bytes | None = b"k"
    value: bytes | None = b"v"
    headers: tuple[tuple[str, bytes], ...] = ()


offsets = st.lists(st.integers(0, 200), min_size=1, max_size=40, unique=True).map(sorted)


def batch_of(found: list[int]) -> RecordBatch:
    return RecordBatch("t", 3, [Rec(offset) for offset in found], found[-1] + 1)


@given(offsets, st.one_of(st.none(), st.integers(0, 220)))
def test_since_leaves_exactly_the_records_at_or_after(found: list[int], offset: int | None) -> None:
    """Gaps or not."""
    rest = batch_of(found).since(offset)

    assert rest.offsets == [o for o in found if offset is None or o >= offset]
    assert rest.next_offset == found[-1] + 1


@given(offsets.filter(lambda found: len(found) > 1))
def test_halves_cover_the_batch_without_overlap(found: list[int]) -> None:
    """The first half ends where the second begins."""
    first, second = batch_of(found).halves()

    assert first.offsets + second.offsets == found
    assert first.next_offset == second.offsets[0]
    assert second.next_offset == found[-1] + 1


@given(st.lists(st.sampled_from([b"1", b"22", b"null"])))
def test_a_batch_is_decoded_to_one_event_for_each_record(values: list[bytes]) -> None:
    """A tombstone is null."""
    records = [Rec(offset, value=None if value == b"null" else value) for offset, value in enumerate(values)]
    decode = msgspec.json.Decoder(list[int | None]).decode

    found = RecordBatch("t", 0, records, len(records)).decoded(decode)

    assert found == [None if value == b"null" else int(value) for value in values]


def test_a_record_that_is_several_events_is_refused() -> None:
    """Or the events after it would be taken for the records after it."""
    batch = RecordBatch("t", 0, [Rec(0, value=b"1"), Rec(1, value=b"2,3")], 2)

    with pytest.raises(ValueError, match="expected one event per record, was 3 in 2 records"):
        batch.decoded(msgspec.json.Decoder(list[int]).decode)


def test_a_record_is_named_by_topic_partition_and_offset() -> None:
    """As logs and dead letters say it."""
    batch = RecordBatch("massive.trades", 3, [Rec(17, headers=(("received_ns", b"5"),))], 18)

    assert where(batch) == "massive.trades[3]@17"
    assert batch.header(0, "received_ns") == b"5"
    assert batch.header(0, "other") is None
