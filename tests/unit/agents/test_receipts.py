"""What a record's headers say is beside its event: one that cannot be read costs the event nothing."""

from typing import Any

import msgspec
import pytest

import tables
from agents.daily_ranges import fold_ranges
from agents.nbbo import fold_quotes
from agents.quotes import fold_aggregates
from app.kafka.topics import RECEIVED_NS_HEADER
from app.market.daily_alerts import RangeRow
from app.observability.engine import EngineMeters
from app.stream import PartitionView, RecordBatch
from tests.unit.agents import test_daily_ranges as daily_ranges
from tests.unit.agents.test_cuts import Make, bar, quote
from tests.unit.agents.test_daily_ranges import DAY, Rec

#: No number, nothing, null, more digits than Python reads, more than a row's field holds.
BAD_HEADERS = [b"yesterday", b"", None, b"9" * 5000, b"%d" % 2**63, b"-5", b"\xff\xfe"]


def batch_with(event: Any, header: Any) -> RecordBatch:
    record = Rec(0, msgspec.json.encode(event), headers=((RECEIVED_NS_HEADER, header),))
    return RecordBatch("massive.aggregates", 0, [record], 1)


@pytest.fixture(autouse=True)
def _nothing_known() -> None:
    tables.quotes.data.partitions.clear()
    tables.reference.data.partitions.clear()


@pytest.mark.parametrize("header", BAD_HEADERS)
@pytest.mark.parametrize(("make", "fold"), [(bar, fold_aggregates), (quote, fold_quotes)], ids=["quotes", "nbbo"])
def test_an_event_whose_time_of_receipt_cannot_be_read_counts(make: Make, fold: Make, header: Any) -> None:
    good, bad = PartitionView[Any](0, {}), PartitionView[Any](0, {})
    fold(good, batch_with(make("A", 1, 10), b"7"))
    fold(bad, batch_with(make("A", 1, 10), header))

    known, unknown = (msgspec.to_builtins(view.changes["A"]) for view in (good, bad))
    assert known.pop("received_ns") == 7
    assert unknown.pop("received_ns") is None
    assert known == unknown


@pytest.mark.parametrize("header", BAD_HEADERS)
def test_an_alert_whose_aggregate_does_not_say_when_it_was_received_is_told(header: Any) -> None:
    rows = {"A": RangeRow("A", DAY, regular_session_high=100.0, regular_session_low=100.0)}
    (_, value), *_ = fold_ranges(PartitionView(0, rows), batch_with(daily_ranges.bar("A", 60, 120.0, 10), header))

    alert = msgspec.json.decode(value)
    assert (alert["kind"], alert["row"]["close"], alert["row"]["received_ns"]) == ("new_high", 120.0, None)


@pytest.mark.parametrize("header", BAD_HEADERS)
def test_a_flush_is_measured_by_headers_that_can_be_read_only(header: Any) -> None:
    meters = EngineMeters(RECEIVED_NS_HEADER).table("t")

    assert meters.received_ns(batch_with(bar("A", 1, 10), header)) is None
    assert meters.received_ns(batch_with(bar("A", 1, 10), b"7")) == 7
