"""Wildcards, the view and documents."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.gateway.protocol.feeds import BOARDS, QUOTES, matcher
from app.gateway.tables.documents import part
from app.gateway.tables.view import View
from app.kafka.topics import LEADERBOARDS, MARKET_QUOTES


@given(st.text(alphabet="ab:*", max_size=8), st.text(alphabet="ab:", max_size=8))
def test_a_pattern_matches_what_the_same_regular_expression_matches(pattern: str, feed: str) -> None:
    if "*" not in pattern:
        pattern += "*"
    expression = ".*".join(map(re.escape, pattern.split("*")))
    assert matcher(pattern)(feed) == bool(re.fullmatch(expression, feed))


@given(st.lists(st.tuples(st.sampled_from([b"A", b"B", b"C"]), st.none() | st.just(b'{"symbol":"x"}')), max_size=30))
def test_the_view_is_the_last_value_of_each_key(pairs: list[tuple[bytes, bytes | None]]) -> None:
    view = View()
    for at in range(0, len(pairs), 4):
        view.apply(MARKET_QUOTES.name, pairs[at : at + 4])
    expected = {key: value for key, value in dict(pairs).items() if value is not None}
    assert {record.key.encode(): record.value for record in view.rows(QUOTES)} == expected
    assert view.count(QUOTES) == len(expected)
    assert view.records_read == len(pairs)
    for key in (b"A", b"B", b"C"):
        assert (view.find(f"quote:{key.decode()}") is not None) == (key in expected)


def test_a_batch_names_each_changed_record_once_and_versions_rise() -> None:
    view = View()
    first = view.apply(MARKET_QUOTES.name, [(b"A", b"{}"), (b"B", b"{}"), (b"A", b'{"close":1}')])
    assert [(record.feed, record.version) for record in first] == [("quote:A", 1), ("quote:B", 1)]
    deleted = view.apply(MARKET_QUOTES.name, [(b"A", None)])
    assert [(record.feed, record.version, record.document()) for record in deleted] == [("quote:A", 2, b"null")]


def test_a_record_that_is_no_board_is_counted_and_not_served() -> None:
    view = View()
    assert view.apply(LEADERBOARDS.name, [(b"top_volume", b'{"board":1}'), (None, b"{}")]) == []
    assert (view.bad_records, view.count(BOARDS), view.rows(BOARDS)) == (2, 0, [])


@pytest.mark.parametrize(
    ("document", "limit", "fields", "expected"),
    [
        pytest.param('[{"x": 1.50}, {"x": 2}]', 1, None, '[{"x": 1.50}]', id="cut"),
        pytest.param('[{"symbol":"A","x":1}]', None, ("symbol", "y"), '[{"symbol":"A"}]', id="fields"),
        pytest.param('{"symbol":"A","x":[1, 2]}', 5, ("symbol", "x"), '{"symbol":"A","x":[1, 2]}', id="row"),
        pytest.param("null", 1, ("symbol",), "null", id="null"),
    ],
)  # fmt: skip
def test_parts_are_spliced_without_touching_the_numbers(
    document: str, limit: int | None, fields: tuple[str, ...] | None, expected: str
) -> None:
    assert part(document.encode(), limit, fields) == expected.encode()
