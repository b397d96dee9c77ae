"""Rankings against sorting everything."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.market.ranking import BOARDS, NO_PHASE, Board, Phase, Ranking, Scored
from app.market.rows import QuoteRow

DAYS = ("2013-10-09", "2013-10-10")
#: Few values, so that scores tie.
values = st.none() | st.sampled_from([0.0, -0.0, 1.0, -1.0, 2.0, 3.5, math.inf]) | st.floats(-1e6, 1e6)


def row_of(symbol: str, day: str, opened: bool, scores: Mapping[str, float | None]) -> QuoteRow:
    fields: dict[str, Any] = dict.fromkeys(QuoteRow.__struct_fields__)
    fields["official_open_price"] = 0.0
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
        and (row.opened_regular == opened or not board.from_open)
        and (score := getattr(row, board.score_field)) is not None
        and math.isfinite(score)
    ]
    return sorted(scored, key=lambda pair: ((1 if board.ascending else -1) * pair[1], pair[0]))[:limit]


def agreed(latest: dict[str, QuoteRow]) -> Phase:
    """The phase that three symbols, or all where there are fewer, have reached."""
    phases = sorted(((row.day, row.opened_regular) for row in latest.values()), reverse=True)
    return phases[min(3, len(phases)) - 1] if phases else NO_PHASE


@settings(max_examples=300)
@given(st.lists(st.one_of(rows(), st.sampled_from([*"ABCDEFG"])), max_size=40), st.integers(0, 12))
def test_tops_equal_sorting_the_latest_rows_of_the_phase_that_symbols_agree_on(
    changes: list[QuoteRow | str], limit: int
) -> None:
    ranking = Ranking()
    latest: dict[str, QuoteRow] = {}
    for change in changes:
        if isinstance(change, str):
            ranking.remove(change)
            latest.pop(change, None)
        else:
            ranking.update(change)
            latest[change.symbol] = change
    assert ranking.phase == agreed(latest)
    for board in BOARDS:
        assert ranking.tops(board, limit) == naive(board, latest, agreed(latest), limit)


@settings(max_examples=300)
@given(st.lists(rows(), max_size=40), st.integers(1, 4), st.integers(1, 8))
def test_ranking_the_candidates_of_all_partitions_equals_ranking_everything(
    updates: list[QuoteRow], partitions: int, limit: int
) -> None:
    whole, merged = Ranking(), Ranking()
    parts = [Ranking() for _ in range(partitions)]
    for row in updates:
        whole.update(row)
        parts[sum(map(ord, row.symbol)) % partitions].update(row)
    for part in parts:
        merged.follow(part.candidates(limit))
    assert merged.phase == whole.phase
    for board in BOARDS:
        assert merged.tops(board, limit) == whole.tops(board, limit)


def test_rows_of_a_time_to_come_empty_no_board_and_are_forgotten_when_good_ones_come() -> None:
    volume = next(board for board in BOARDS if board.name == "top_volume")
    ranking = Ranking()
    for number in range(5):
        ranking.update(row_of(f"S{number}", DAYS[0], True, {"accumulated_volume": float(number)}))
    for symbol in ("S3", "S4"):
        ranking.update(row_of(symbol, "2036-01-02", True, {"accumulated_volume": 9.0}))
    assert (ranking.phase, ranking.tops(volume)) == ((DAYS[0], True), [("S2", 2.0), ("S1", 1.0), ("S0", 0.0)])
    ranking.update(row_of("S4", DAYS[0], True, {"accumulated_volume": 5.0}))
    assert ranking.tops(volume)[0] == ("S4", 5.0)


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_a_market_of_12000_symbols_is_ranked_as_sorting_would(board: Board) -> None:
    random = np.random.default_rng(7)
    latest = {}
    ranking = Ranking()
    for index in range(12_000):
        scores = {each.score_field: float(random.integers(-50, 50)) for each in BOARDS}  # ties at every cut
        row = latest[f"S{index}"] = row_of(f"S{index}", DAYS[0], index % 3 > 0, scores)
        ranking.update(row)
    assert ranking.tops(board) == naive(board, latest, ranking.phase, 500)
