"""A changelog read back is the table that was written, compaction or not, or recovery ends with an error."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.stream import covers
from app.stream.batches import RecordBatch, Undecodable
from app.stream.covers import Claim, Covers
from app.stream.errors import SkippedRecordsError, UnreadableRowError
from app.stream.partition import PartitionRecovery
from tests.unit.stream.test_batches import Rec

KEYS = st.sampled_from(["a", "b", "c", "d"])
FLUSHES = st.lists(
    st.dictionaries(KEYS, st.one_of(st.none(), st.integers(0, 9)), min_size=1, max_size=4), min_size=1, max_size=12
)


def log_of(flushes: list[dict[str, int | None]], before: int = 0, start: int = 0) -> list[Rec]:
    """The changelog records of some flushes; each covers ten more source offsets."""
    records: list[Rec] = []
    for number, flush in enumerate(flushes):
        for index, (key, value) in enumerate(flush.items()):
            last = index == len(flush) - 1
            headers = (covers.encode(Covers({"s": before + 10 * (number + 1)})),) if last else ()
            encoded = None if value is None else str(value).encode()
            records.append(Rec(start + len(records), 0, key.encode(), encoded, headers))
    return records


def recovered(records: list[Rec], size: int = 3) -> PartitionRecovery[int]:
    recovery = PartitionRecovery[int](0)
    for at in range(0, len(records), size):
        part = records[at : at + size]
        recovery.apply(RecordBatch("changelog", 0, part, part[-1].offset + 1))
    return recovery


def final(flushes: list[dict[str, int | None]]) -> dict[str, int]:
    rows: dict[str, int | None] = {}
    for flush in flushes:
        rows |= flush
    return {key: value for key, value in rows.items() if value is not None}


@given(FLUSHES)
def test_reading_back_gives_rows_and_offsets(flushes: list[dict[str, int | None]]) -> None:
    """Deletions included."""
    state = recovered(log_of(flushes), size=1000).finish(int)

    assert state.rows == final(flushes)
    assert state.covered == {"s": 10 * len(flushes)}
    assert state.next_changelog_offset == sum(map(len, flushes))


@given(FLUSHES, st.data())
def test_compaction_does_not_change_what_is_read_back(
    flushes: list[dict[str, int | None]], data: st.DataObject
) -> None:
    """The broker may drop any record that a later one of its key supersedes, but never the last."""
    records = log_of(flushes)
    superseded = [i for i, record in enumerate(records) if any(later.key == record.key for later in records[i + 1 :])]
    dropped = data.draw(st.sets(st.sampled_from(superseded))) if superseded else set()
    kept = [record for i, record in enumerate(records) if i not in dropped]
    state = recovered(kept, size=1000).finish(int)

    assert state.rows == final(flushes)
    assert state.covered == {"s": 10 * len(flushes)}


@given(FLUSHES, st.integers(1, 5))
def test_it_is_told_when_compaction_may_forget_what_is_covered(flushes: list[dict[str, int | None]], size: int) -> None:
    """The newest word stands at a tombstone, and those go after some time: it is to be said again."""
    recovery = recovered(log_of(flushes), size)

    assert recovery.covers_fade == (list(flushes[-1].values())[-1] is None)


def test_a_claim_is_no_row_and_covers_nothing() -> None:
    """Nor does it hide what was covered before it."""
    records = log_of([{"a": 1}], before=500)
    claim = covers.encode_claim(Claim("app", 3, 77))
    records.append(Rec(1, 0, covers.CLAIM_KEY, None, (claim,)))
    recovery = PartitionRecovery[int](0)
    recovery.apply(RecordBatch("changelog", 0, records, 2))
    state = recovery.finish(int, claim_offset=1)

    assert state.rows == {"a": 1}
    assert state.covered == {"s": 510}
    assert state.next_changelog_offset == 2
    assert covers.decode_claim(records[-1].headers) == Claim("app", 3, 77)


OWNED = st.lists(st.tuples(st.sampled_from(["claim", "flush", "row"]), st.sampled_from(["one", "two"])), max_size=12)


@given(OWNED, st.integers(1, 5))
def test_the_owner_is_whose_claim_or_flush_is_the_newest(found: list[tuple[str, str]], size: int) -> None:
    """However the records are cut into batches; rows of a flush before its last say nothing."""
    records, owner = [], None
    for offset, (kind, app) in enumerate(found):
        if kind == "claim":
            headers, key, value = [covers.encode_claim(Claim(app, 3, 77))], covers.CLAIM_KEY, None
        else:
            headers, key, value = [covers.encode(Covers({"s": 1}, owner=app))], b"a", b"1"
        records.append(Rec(offset, 0, key, value, () if kind == "row" else tuple(headers)))
        owner = owner if kind == "row" else app

    assert recovered(records, size).owner == owner


def test_a_claim_does_not_supersede_what_is_covered() -> None:
    """Compaction takes all but the newest record of a key: what is said again of deleted rows has one of its own."""
    said = covers.encode(Covers({"s": 20}))
    claim = covers.encode_claim(Claim("app", 4, 77))
    records = [*log_of([{"a": None}]), Rec(1, 0, covers.COVERS_KEY, None, (said,))]
    records.append(Rec(2, 0, covers.CLAIM_KEY, None, (claim,)))
    newest = {record.key: record for record in records if record.key != b"a"}
    recovery = PartitionRecovery[int](0)
    recovery.apply(RecordBatch("changelog", 0, list(newest.values()), 3, position=0))

    assert recovery.finish(int, claim_offset=2).covered == {"s": 20}


def test_rows_do_not_count_before_the_claim_is_read() -> None:
    """Whatever let the recovery end early: an answer without them would be wrong."""
    recovery = PartitionRecovery[int](0)
    with pytest.raises(SkippedRecordsError, match="expected to read up to the claim at 5, was at None"):
        recovery.finish(int, claim_offset=5)
    recovery.apply(RecordBatch("changelog", 0, log_of([{"a": 1}]), 1))
    with pytest.raises(SkippedRecordsError, match="was at 1"):
        recovery.finish(int, claim_offset=5)


def test_a_damaged_record_batch_ends_the_recovery() -> None:
    """It was left out, with its rows and what they covered."""
    batch = RecordBatch("changelog", 0, log_of([{"a": 1}]), 9, [Undecodable(3, 9, "the checksum does not match")])
    with pytest.raises(UnreadableRowError, match=r"changelog\[0\]: the records 3 to 8 .* checksum"):
        PartitionRecovery[int](0).apply(batch)


def test_records_that_were_never_delivered_end_the_recovery() -> None:
    """Reading back goes on where it stood."""
    recovery = recovered(log_of([{"a": 1}]))
    with pytest.raises(SkippedRecordsError, match="read back from 7, expected 1"):
        recovery.apply(RecordBatch("changelog", 0, [], 9, position=7))


@pytest.mark.parametrize("header", [b"{", b"", None])
def test_a_header_that_cannot_be_read_ends_the_recovery(header: Any) -> None:
    """Taken for none, offsets from before it would count."""
    record = Rec(4, 0, b"a", b"1", ((covers.COVERS_HEADER, header),))
    with pytest.raises(UnreadableRowError, match=r"changelog\[0\]@4"):
        PartitionRecovery[int](0).apply(RecordBatch("changelog", 0, [record], 5))


def test_the_state_of_an_earlier_version_is_read() -> None:
    """Its flushes said more of themselves, and nothing of ids."""
    header = (covers.COVERS_HEADER, b'{"n":1,"from":{"s":3},"to":{"s":4},"restart":true}')
    recovery = PartitionRecovery[int](0)
    recovery.apply(RecordBatch("changelog", 0, [Rec(0, 0, b"a", b"1", (header,))], 1))

    assert recovery.finish(int).covered == {"s": 4}
    assert recovery.finish(int).ids == {}
