"""What kind of error a dead letter is counted under."""

import msgspec
import pytest

from app.market.bounds import AHEAD_MS, check_bar, check_time
from app.stream import RecordBatch
from app.stream.batches import Undecodable
from app.stream.letters import error_type, from_record, from_undecodable
from tests.unit.agents.test_daily_ranges import Rec

BATCH = RecordBatch("massive.aggregates", 0, [Rec(7, b"{}")], 8)


def type_of(error: BaseException | str) -> str:
    return error_type(from_record(BATCH, 0, error)[1])


def test_letters_are_counted_by_what_was_wrong() -> None:
    with pytest.raises(ValueError, match="ahead of its receipt") as ahead:
        check_time("A", AHEAD_MS + 1, AHEAD_MS)
    with pytest.raises(ValueError, match="expected a bar") as bar:
        check_bar("A", 0, 10**9, 10**12)
    assert type_of(ahead.value) == "AheadOfReceiptError"
    assert type_of(bar.value) == "BarLengthError"
    assert type_of(msgspec.ValidationError("Expected `int`: x")) == "ValidationError"
    assert type_of("not an event") == type_of("no word: said") == "Other"
    assert error_type(from_undecodable(BATCH, Undecodable(3, 5, "CodecError: zstd"))[1]) == "Undecodable"
