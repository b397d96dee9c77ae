"""Boards over partitions against ranking all rows, whatever is handed over when."""

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from app.market.boards import HandedRow, Leaderboard, MergedBoards, PartitionBoards
from app.market.handover import HandOver
from app.market.ranking import BOARDS, Ranking
from app.market.rows import QuoteRow
from tests.unit.market.test_ranking import rows

PARTITIONS = 3
_decode = msgspec.json.Decoder(HandOver[HandedRow]).decode


def place(symbol: str) -> int:
    return sum(map(ord, symbol)) % PARTITIONS


def over_kafka(found: HandOver[HandedRow]) -> HandOver[HandedRow]:
    return _decode(msgspec.json.encode(found))


steps = st.lists(
    st.one_of(
        rows(),
        st.sampled_from([*"ABCDEFG"]).map(lambda symbol: ("remove", symbol)),
        st.integers(0, PARTITIONS - 1).map(lambda partition: ("hand over", partition)),
        st.integers(0, PARTITIONS - 1).map(lambda partition: ("begin anew", partition)),
        st.just(("publish", None)),
    ),
    max_size=50,
)


@settings(max_examples=200, deadline=None)
@given(steps)
def test_what_is_published_last_is_the_ranking_of_all_rows(course: list[Any]) -> None:
    parts = [PartitionBoards(partition) for partition in range(PARTITIONS)]
    whole, merged = Ranking(), MergedBoards(PARTITIONS)
    published: dict[str, Leaderboard] = {}

    def hand_over(partition: int) -> None:
        found = parts[partition].hand_over(1, 0)
        if found is not None:
            merged.take(over_kafka(found))

    def publish() -> None:
        for board in merged.to_publish(7):
            assert board != published.get(board.board)
            published[board.board] = board

    for step in course:
        if isinstance(step, QuoteRow):
            whole.update(step)
            parts[place(step.symbol)].follow({step.symbol: step})
        elif step[0] == "remove":
            whole.remove(step[1])
            parts[place(step[1])].follow({step[1]: None})
        elif step[0] == "hand over":
            hand_over(step[1])
        elif step[0] == "begin anew":
            parts[step[1]].begin_anew()
        else:
            publish()
    for partition in range(PARTITIONS):
        hand_over(partition)
    assert merged.complete
    publish()
    for board in BOARDS:
        ranked = [whole.row(symbol) for symbol, _ in whole.tops(board)]
        found = published.get(board.name)
        if found is None:
            assert ranked == []
            continue
        assert found.day == whole.phase[0]
        entries = [msgspec.json.decode(entry) for entry in found.entries]
        expected = [
            {"rank": rank, **msgspec.json.decode(msgspec.json.encode(row))} for rank, row in enumerate(ranked, 1)
        ]
        assert entries == expected
    assert list(merged.to_publish(8)) == []


def test_a_handed_row_has_the_fields_of_a_quote_row_in_their_order() -> None:
    """Positions alone carry them."""
    assert HandedRow.__struct_fields__ == QuoteRow.__struct_fields__
