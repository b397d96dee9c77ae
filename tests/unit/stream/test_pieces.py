"""Pieces of a fold in place grow while their rows are small, and their rows fit for as long as they do not leap."""

from hypothesis import given
from hypothesis import strategies as st

from app.stream.partition import MAX_FLUSH_BYTES
from app.stream.pieces import GROWTH, Pieces


def test_small_rows_are_soon_folded_by_thousands() -> None:
    """Seven flushes after a start."""
    pieces, sizes = Pieces(4000), []
    for _ in range(8):
        sizes.append(pieces.records)
        pieces.written(pieces.records, pieces.records * 500)

    assert sizes == [1, 4, 16, 64, 256, 1024, 4000, 4000]


@given(st.lists(st.tuples(st.integers(1, GROWTH * 100), st.integers(1, 4000)), min_size=1, max_size=40))
def test_rows_fit_while_those_of_a_record_grow_to_four_times_at_most(steps: list[tuple[int, int]]) -> None:
    """By steps in per cent of the bytes that one record changes; a batch may end before the piece is full."""
    pieces, of_one = Pieces(4000), 100.0
    for per_cent, left in steps:
        grown = of_one * per_cent / 100
        of_one = min(MAX_FLUSH_BYTES, max(1.0, grown))
        records = min(pieces.records, left)
        row_bytes = int(records * of_one)

        assert 1 <= records <= 4000
        assert row_bytes <= MAX_FLUSH_BYTES
        pieces.written(records, row_bytes)


@given(st.integers(1, 4000), st.integers(0, 2 * MAX_FLUSH_BYTES))
def test_a_piece_is_never_empty(records: int, row_bytes: int) -> None:
    """However large its rows are."""
    pieces = Pieces(4000)
    pieces.written(records, row_bytes)

    assert 1 <= pieces.records <= 4000
