"""A changelog read back is the table that was written, stale writers, compaction or not."""

from hypothesis import given
from hypothesis import strategies as st

from app.stream import covers
from app.stream.batches import RecordBatch
from app.stream.covers import Covers
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
            at = before + number * 10
            headers = (covers.encode(Covers(len(flush), {"s": at}, {"s": at + 10})),) if last else ()
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


@given(FLUSHES, FLUSHES)
def test_a_stale_writers_flush_does_not_count(
    flushes: list[dict[str, int | None]], stale: list[dict[str, int | None]]
) -> None:
    """A writer that lost the partition appends flushes from before: its rows are named as damaged."""
    mine = log_of(flushes)
    theirs = log_of(stale, before=0, start=len(mine))
    recovery = recovered(mine + theirs, size=1000)
    beyond = [flush for number, flush in enumerate(stale) if number * 10 >= 10 * len(flushes)]
    state = recovery.finish(int)

    if not beyond:
        assert state.rows == final(flushes)
        assert state.covered == {"s": 10 * len(flushes)}
        assert recovery.damaged == {key.encode() for flush in stale for key in flush}


def test_a_restarted_source_starts_the_offsets_afresh() -> None:
    """A source topic that was made anew counts from its beginning, and nothing of it is stale."""
    records = log_of([{"a": 1}], before=500)
    again = Covers(1, {"s": 510}, {"s": 10}, restart=True)
    records.append(Rec(1, 0, b"b", b"2", (covers.encode(again),)))
    records.append(Rec(2, 0, b"c", b"3", (covers.encode(Covers(1, {"s": 10}, {"s": 20})),)))
    recovery = recovered(records, size=1000)

    assert recovery.finish(int).rows == {"a": 1, "b": 2, "c": 3}
    assert recovery.covered == {"s": 20}
    assert not recovery.damaged
