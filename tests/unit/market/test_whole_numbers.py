"""Whole numbers count in either form; what is no whole number, or no number, is refused as before."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.market.events import Aggregate, LimitUpLimitDown, MinuteAggregate, Quote, Trade
from app.market.trade_tape import WindowTrade
from app.market.whole_numbers import decoder_of
from app.reference.records import DailyBar, TickerSnapshot

#: An event of each kind with all its whole numbers, as the vendor's documents have them.
EVENTS: list[tuple[Any, dict[str, Any]]] = [
    (Aggregate, {"ev": "A", "sym": "AAPL", "v": 4989, "dv": "4989.0", "s": 1795186800000, "e": 1795186801000}),
    (MinuteAggregate, {"ev": "AM", "sym": "AAPL", "v": 4989, "s": 1795186800000, "e": 1795186860000}),
    (Trade, {"ev": "T", "sym": "AAPL", "x": 4, "i": "71675222901845", "z": 1, "p": 157.35, "s": 10, "c": [12, 37],
             "t": 1795186801500, "q": 3372, "trfi": 202, "trft": 1795186801400, "pt": 1795186801499814766}),
    (WindowTrade, {"ev": "T", "sym": "AAPL", "x": 4, "z": 1, "p": 157.35, "s": 0, "ds": "0.0015", "c": [12, 37],
                   "t": 1795186801500, "q": 3372, "trfi": 202, "trft": 1795186801400}),
    (Quote, {"ev": "Q", "sym": "AAPL", "bx": 11, "ax": 12, "bp": 272.39, "ap": 272.41, "c": 1, "i": [604],
             "t": 1795186801500, "q": 48112, "z": 3}),
    (LimitUpLimitDown, {"ev": "LULD", "T": "AFJK", "h": 0.0, "l": 0.0, "i": [17], "z": 3, "t": 1795186801500000000}),
]  # fmt: skip


def _as_decimals(value: Any) -> Any:
    match value:
        case bool():
            return value
        case int() if value < 2**53 or int(float(value)) == value:
            return float(value)
        case list():
            return [_as_decimals(each) for each in value]
        case dict():
            return {name: _as_decimals(each) for name, each in value.items()}
    return value


@pytest.mark.parametrize(("shape", "event"), EVENTS, ids=lambda each: getattr(each, "__name__", ""))
def test_whole_numbers_that_are_written_as_decimals_are_taken(shape: Any, event: dict[str, Any]) -> None:
    decode = decoder_of(list[shape])
    plain, decimals = json.dumps([event]).encode(), json.dumps([event, _as_decimals(event)]).encode()
    assert plain != decimals
    (first,), (second, third) = decode(plain), decode(decimals)
    assert first == second == third
    # Not only equal: what is written of it is the same, too.
    assert msgspec.json.encode(third) == msgspec.json.encode(first)


@pytest.mark.parametrize("wrong", ['"5"', "1.5", '"nan"', "true", "[1]", "{}"])
def test_what_is_no_whole_number_is_refused_by_name(wrong: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=r"\$\[1\]\.t"):
        decoder_of(list[Trade])(b'[{"ev":"T","t":5},{"ev":"T","t":%s}]' % wrong.encode())


@given(st.recursive(st.one_of(st.none(), st.booleans(), st.integers(), st.text(), st.floats(allow_nan=False,
       allow_infinity=False)), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))  # fmt: skip
def test_a_shape_without_whole_numbers_is_read_as_it_is(value: Any) -> None:
    text = msgspec.json.encode(value)
    assert decoder_of(Any)(text) == msgspec.json.decode(text)


def test_answers_of_rest_are_read_the_same() -> None:
    assert decoder_of(DailyBar)(b'{"v":5.5,"t":1795186800000.0}') == DailyBar(5.5, 1_795_186_800_000)
    (snapshot,) = decoder_of(list[TickerSnapshot])(b'[{"ticker":"AAPL","updated":1.795186801e18}]')
    assert (snapshot.updated, type(snapshot.updated)) == (1_795_186_801_000_000_000, int)


@pytest.mark.parametrize(
    "odd", ['"lastTrade":{"c":"37","t":1.5}', '"lastQuote":[]', '"min":7', '"fmv":"none"', '"todaysChangePerc":"x"']
)
def test_an_odd_field_that_nobody_uses_does_not_cost_the_answer(odd: str) -> None:
    found: TickerSnapshot = decoder_of(TickerSnapshot)(b'{"ticker":"AAPL","prevDay":{"c":268.56},%s}' % odd.encode())
    assert found.previous_day is not None
    assert found.previous_day.close == 268.56
    # The cache hands it on as the vendor sent it.
    said = {"ticker": "AAPL", "prevDay": msgspec.to_builtins(found.previous_day), **json.loads(f"{{{odd}}}")}
    assert json.loads(msgspec.json.encode(found)) == said
