"""A delta log and a client that applies it always agree."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from app.gateway.feeds.deltas import DeltaLog
from app.gateway.protocol.messages import options, parse
from app.gateway.tables.documents import part, rows

SYMBOLS = st.sampled_from(["A", "BRK.B", 'Q"uote', "ÄÖ"])
FIELDS = st.dictionaries(
    st.sampled_from(["rank", "close", "note"]), st.none() | st.integers(0, 3) | st.text(max_size=2)
)
BOARDS = st.lists(st.dictionaries(SYMBOLS, FIELDS, max_size=4), max_size=12)


def document(board: dict[str, dict[str, Any]]) -> bytes:
    return json.dumps([{"symbol": symbol, **fields} for symbol, fields in board.items()]).encode()


def applied(state: dict[str, dict[str, Any]], delta: bytes) -> dict[str, dict[str, Any]]:
    """What a client has after a delta: as the page does it, with null for a field that is gone."""
    change = json.loads(delta)
    new = {symbol: row for symbol, row in state.items() if symbol not in change["remove"]}
    for row in change["upsert"]:
        new[row["symbol"]] = {**new.get(row["symbol"], {}), **row}
    return new


def known(state: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """A state without its nulls: a client cannot tell null from absent."""
    return {symbol: {name: value for name, value in row.items() if value is not None} for symbol, row in state.items()}


@given(BOARDS, st.integers(1, 5))
def test_a_client_at_any_offset_gets_to_the_present_state_or_is_told_to_begin_anew(
    boards: list[dict[str, dict[str, Any]]], kept: int
) -> None:
    log = DeltaLog(kept)
    states: list[dict[str, dict[str, Any]]] = [{}]
    for board in boards:
        before = log.offset
        delta = log.update(rows(document(board)))
        assert log.offset == before + (delta is not None)
        if delta is not None:
            states.append(applied(states[-1], delta))
    present = {row["symbol"]: row for row in json.loads(log.snapshot())}
    assert known(states[-1]) == known(present)
    for offset, state in enumerate(states):
        missed = log.since(offset)
        if missed is None:
            assert log.offset - offset > kept
            continue
        assert [at for at, _ in missed] == list(range(offset + 1, log.offset + 1))
        for _, delta in missed:
            state = applied(state, delta)
        assert known(state) == known(present)


def test_an_offset_of_the_future_is_not_of_this_log() -> None:
    log = DeltaLog()
    log.update(rows(b'[{"symbol":"A","rank":1}]'))
    assert log.since(2) is None
    assert log.since(1) == []


def test_alerts_of_one_symbol_are_rows_of_their_own() -> None:
    log = DeltaLog()
    log.update(rows(b'[{"key":"a1","symbol":"A"},{"key":"a2","symbol":"A"}]'))
    delta = log.update(rows(b'[{"key":"a3","symbol":"A"},{"key":"a2","symbol":"A","note":"x"}]'))
    assert delta is not None
    assert json.loads(delta) == {
        "upsert": [{"key": "a3", "symbol": "A"}, {"key": "a2", "symbol": "A", "note": "x"}], "remove": ["a1"]
    }  # fmt: skip


def test_alerts_of_one_symbol_stay_apart_whatever_fields_are_asked_for() -> None:
    """Their key alone tells them apart; without it there was one alert of each symbol."""
    asked = options(parse('{"fields": ["price"], "mode": "delta"}')).fields
    alerts = json.dumps([{"key": f"AAA/{n}", "symbol": "AAA", "price": n, "kind": "gap"} for n in (1, 2)]).encode()
    log = DeltaLog()
    log.update(rows(part(alerts, None, asked)))
    assert json.loads(log.snapshot()) == [{"symbol": "AAA", "key": f"AAA/{n}", "price": n} for n in (1, 2)]
