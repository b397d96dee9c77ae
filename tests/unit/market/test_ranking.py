"""Rankings against sorting everything."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.market.ranking import BOARDS, NO_PHASE, Board, PartitionRanking, Phase, Scored, merge_tops
from app.market.rows import QuoteRow

DAYS = ("2013-10-09", "2013-10-10")
#: Few values, so that scores tie.
values = st.none() | st.sampled_from([0.0, -0.0, 1.0, -1.0, 2.0, 3.5, math.inf]) | st.floats(-1e6, 1e6)


def row_of(symbol: str, day: str, opened: bool, scores: Mapping[str, float | None]) -> QuoteRow:
    fields: dict[str, Any] = dict.fromkeys(QuoteRow.__struct_fields__)
    return QuoteRow(**{**fields, **scores, "symbol": symbol, "day": day, "opened_regular": opened})


@st.composite
def rows(draw: st.DrawFn) -> QuoteRow:
    scores = {board.score_field: draw(values) for board in BOARDS}
    symbol = draw(st.sampled_from([*"ABCDEFGHIJ", "AB", "BRK.A", "Z"]))
    return row_of(symbol, draw(st.sampled_from(DAYS)), draw(st.booleans()), scores)


def naive(board: Board, latest: dict[str, QuoteRow], phase: Phase, limit: int) -> list[Scored]:
    day, opened = phase
    scored = [
        (symbol, float(score))
        for symbol, row in latest.items()
        if row.day == day
        and (row.opened_regular or not (opened and board.from_open))
        and (score := getattr(row, board.score_field)) is not None
        and math.isfinite(score)
    ]
    return sorted(scored, key=lambda pair: ((1 if board.ascending else -1) * pair[1], pair[0]))[:limit]


@settings(max_examples=300)
@given(st.lists(st.one_of(rows(), st.sampled_from([*"ABCDEFG"])), max_size=40), st.integers(0, 12))
def test_tops_equal_sorting_the_latest_rows_of_the_newest_phase(changes: list[QuoteRow | str], limit: int) -> None:
    ranking = PartitionRanking()
    latest: dict[str, QuoteRow] = {}
    phase = NO_PHASE
    for change in changes:
        if isinstance(change, str):
            ranking.remove(change)
            latest.pop(change, None)
        else:
            ranking.update(change)
            latest[change.symbol] = change
            phase = max(phase, (change.day, change.opened_regular))
    assert ranking.phase == phase
    for board in BOARDS:
        assert ranking.tops(board, limit) == naive(board, latest, phase, limit)


@settings(max_examples=300)
@given(st.lists(rows(), max_size=40), st.integers(1, 4), st.integers(0, 8))
def test_merging_partitions_equals_ranking_everything(updates: list[QuoteRow], partitions: int, limit: int) -> None:
    whole = PartitionRanking()
    parts = [PartitionRanking() for _ in range(partitions)]
    for row in updates:
        whole.update(row)
        parts[sum(map(ord, row.symbol)) % partitions].update(row)
    for board in BOARDS:
        tops = {index: (part.phase, part.tops(board, limit)) for index, part in enumerate(parts)}
        assert merge_tops(tops, board, limit) == (whole.phase, whole.tops(board, limit))


def test_a_partition_of_an_older_phase_is_left_out_of_a_board_from_the_open_only() -> None:
    gainers = next(board for board in BOARDS if board.name == "top_gainers")
    volume = next(board for board in BOARDS if board.name == "top_volume")
    tops: dict[int, tuple[Phase, list[Scored]]] = {
        0: ((DAYS[1], True), [("A", 1.0)]),
        1: ((DAYS[1], False), [("B", 2.0)]),
        2: ((DAYS[0], True), [("C", 3.0)]),
        3: (NO_PHASE, []),
    }
    assert merge_tops(tops, gainers) == ((DAYS[1], True), [("A", 1.0)])
    assert merge_tops(tops, volume) == ((DAYS[1], True), [("B", 2.0), ("A", 1.0)])
    assert merge_tops({}, volume) == (NO_PHASE, [])


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_a_market_of_12000_symbols_is_ranked_as_sorting_would(board: Board) -> None:
    random = np.random.default_rng(7)
    latest = {}
    ranking = PartitionRanking()
    for index in range(12_000):
        scores = {each.score_field: float(random.integers(-50, 50)) for each in BOARDS}  # ties at every cut
        row = latest[f"S{index}"] = row_of(f"S{index}", DAYS[0], index % 3 > 0, scores)
        ranking.update(row)
    assert ranking.tops(board) == naive(board, latest, ranking.phase, 500)
