"""Which symbols the agent of reference data asks for, and in which order."""

from collections.abc import Iterator
from typing import Any

import pytest

import tables
from agents.reference_filling import _day_of_rows, wanted
from app.market.events import Reference
from app.market.rows import QuoteRow
from app.stream.partition import PartitionState

DAY, BEFORE = "2026-11-20", "2026-11-19"


@pytest.fixture(autouse=True)
def _no_partitions() -> Iterator[None]:
    yield
    tables.quotes.data.partitions.clear()
    tables.reference.data.partitions.clear()


def own(partition: int, rows: dict[str, tuple[str, float | None]], known: dict[str, str]) -> None:
    """Rows of a partition by day and volume, and the days that reference data is known for."""
    quotes, references = PartitionState[QuoteRow](partition), PartitionState[Reference](partition)
    fields: dict[str, Any] = dict.fromkeys(QuoteRow.__struct_fields__)
    for symbol, (day, volume) in rows.items():
        quotes.rows[symbol] = QuoteRow(**fields | {"symbol": symbol, "day": day, "accumulated_volume": volume})
    references.rows.update({symbol: Reference(symbol, day) for symbol, day in known.items()})
    tables.quotes.data.partitions[partition] = quotes
    tables.reference.data.partitions[partition] = references


def test_the_most_active_that_lack_their_days_data_come_first_over_all_partitions() -> None:
    own(0, {"A": (DAY, 10.0), "B": (DAY, 30.0), "C": (DAY, None)}, {"B": DAY})
    own(1, {"D": (DAY, 20.0), "E": (BEFORE, 40.0)}, {"D": BEFORE, "E": BEFORE})
    assert wanted({}, 0.0) == [("D", DAY), ("A", DAY), ("C", DAY)]


def test_who_was_asked_for_is_left_alone_for_a_while() -> None:
    own(0, {"A": (DAY, 10.0), "B": (DAY, 5.0)}, {})
    assert wanted({"A": 60.0}, 59.0) == [("B", DAY)]
    assert wanted({"A": 60.0}, 60.0) == [("A", DAY), ("B", DAY)]


def test_a_partition_whose_reference_table_is_not_read_back_yet_asks_for_all() -> None:
    own(0, {"A": (DAY, 10.0)}, {"A": DAY})
    del tables.reference.data.partitions[0]
    assert wanted({}, 0.0) == [("A", DAY)]


def test_one_row_of_2036_moves_no_day_of_reference_data_and_is_not_asked_for() -> None:
    """Of a set of three; a row of the next day is asked for before the others have reached it."""
    own(0, {"A": (DAY, 10.0), "B": (DAY, 5.0), "POISON": ("2036-11-20", 99.0)}, {})
    own(1, {"C": (DAY, 1.0), "EARLY": ("2026-11-23", 7.0)}, {})
    assert _day_of_rows() == DAY
    assert wanted({}, 0.0) == [("A", DAY), ("EARLY", "2026-11-23"), ("B", DAY), ("C", DAY)]
