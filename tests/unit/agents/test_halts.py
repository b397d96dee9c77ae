"""Halts that no event followed end with their trading day."""

from typing import Any

from agents.halts import ended_with_their_day
from app.market.halts import HaltState
from app.market.rows import QuoteRow


def halted(symbol: str, day: str) -> HaltState:
    return HaltState(symbol, 12.1, 9.9, (17,), 5, 1, halted_since=5, reason="halt", day=day, tape=3, halts_told=True)


def row(symbol: str, day: str) -> QuoteRow:
    fields: dict[str, Any] = dict.fromkeys(QuoteRow.__struct_fields__)
    return QuoteRow(**{**fields, "symbol": symbol, "day": day})


def test_a_halt_of_yesterday_ends_when_three_symbols_have_a_row_of_today() -> None:
    states = {"OLD": halted("OLD", "2026-11-19"), "NEW": halted("NEW", "2026-11-20")}
    assert ended_with_their_day(states, {"OLD": row("OLD", "2026-11-19")}) == {}
    rows = {"OLD": row("OLD", "2026-11-19")} | {symbol: row(symbol, "2026-11-20") for symbol in "XY"}
    assert ended_with_their_day(states, rows) == {}
    rows["POISON"] = row("POISON", "2036-01-02")
    found = ended_with_their_day(states, rows)
    assert {symbol: None if state is None else state.halted_since for symbol, state in found.items()} == {"OLD": None}
    assert ended_with_their_day(states, {}) == {}


def test_a_halt_of_2036_ends_and_one_of_the_next_day_stays() -> None:
    """The next day's may come before three symbols have a row of it."""
    states = {"EARLY": halted("EARLY", "2026-11-23"), "POISON": halted("POISON", "2036-01-02")}
    rows = {symbol: row(symbol, "2026-11-20") for symbol in "XYZ"}
    found = ended_with_their_day(states, rows)
    assert {symbol: None if state is None else state.halted_since for symbol, state in found.items()} == {
        "POISON": None
    }
