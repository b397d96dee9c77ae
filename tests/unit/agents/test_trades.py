"""Trades of a time to come do not reach the windows of their partition."""

import pytest

import tables
from agents.trade_tape import drop_windows_to_come
from app.market.bounds import AHEAD_MS
from app.market.trade_tape import TapePartition, WindowTrade
from tables import receipts
from tests.unit.agents.test_daily_ranges import START_MS, batch_of


def test_a_print_an_hour_ahead_of_its_receipt_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receipts, "BOUNDED", True)
    trade = {"ev": "T", "sym": "ABC", "p": 1.0, "s": 1, "t": START_MS}
    decode = tables.trade_tape.decode_events
    with pytest.raises(ValueError, match="of ABC at most 60 s ahead of its receipt, was 3,600 s ahead"):
        decode(batch_of([trade], START_MS - 3_600_000))
    assert len(decode(batch_of([trade], START_MS - AHEAD_MS))) == 1
    poisoned = TapePartition()
    poisoned.fold([WindowTrade(symbol, price=1.0, timestamp=START_MS) for symbol in "AB"])
    poisoned.fold([WindowTrade("P", price=1.0, timestamp=START_MS + 10**12)])
    monkeypatch.setitem(tables.trade_tape.folded, 0, poisoned)
    drop_windows_to_come(batch_of([trade], START_MS))
    assert poisoned.windows.symbols() == ["A", "B"]
    monkeypatch.setattr(receipts, "BOUNDED", False)
    assert len(decode(batch_of([trade], START_MS - 3_600_000))) == 1
