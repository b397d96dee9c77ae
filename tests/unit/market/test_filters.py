"""Filters against a plain interpreter, and the faults that they are refused for."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.market import filter_syntax as syntax
from app.market.filter_check import Schema, schema_of
from app.market.filter_presets import PRESETS
from app.market.filter_syntax import MAX_LENGTH, FilterError, Node, parse_filter, written
from app.market.filters import compile_filter
from app.market.rows import QuoteRow

SCHEMA: Schema = {"a": "number", "b": "number", "s": "string", "t": "string", "f": "boolean"}
QUOTES = schema_of(QuoteRow)

numbers = st.sampled_from([0.0, 1.0, -1.0, 2.5, 3.0, 1e6, 1e200, -1e200])
texts = st.sampled_from(["", "AAPL", "MSFT", "x y"])
rows = st.lists(
    st.fixed_dictionaries(
        {
            "a": st.none() | numbers,
            "b": st.none() | numbers,
            "s": st.none() | texts,
            "t": st.none() | texts,
            "f": st.none() | st.booleans(),
        }
    ),
    max_size=6,
)


def _infix(operators: list[str], inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.builds("({} {} {})".format, inner, st.sampled_from(operators), inner)


number_texts = st.recursive(
    st.sampled_from(["a", "b", "2", "0", "1.5", "20M", "1e200"]),
    lambda inner: _infix(["+", "-", "*", "/"], inner) | inner.map("-{}".format),
    max_leaves=4,
)
string_texts = st.sampled_from(["s", "t"])
condition_texts = st.recursive(
    st.one_of(
        _infix(["<", "<=", ">", ">=", "=", "!="], number_texts).filter(lambda text: any(c in text for c in "ab")),
        st.builds(
            "{} {} {}".format, string_texts, st.sampled_from(["==", "!="]), st.sampled_from(["s", "t", "'AAPL'"])
        ),
        st.builds("{} {} ('AAPL', 'x y', 'nowhere')".format, string_texts, st.sampled_from(["in", "not in"])),
        st.builds("{} in (0, -1, 2.5)".format, number_texts.filter(lambda text: any(c in text for c in "ab"))),
        st.builds("{} between {} and {}".format, number_texts, number_texts, number_texts),
        st.builds("{} is {}".format, number_texts | string_texts, st.sampled_from(["null", "not null"])),
        st.sampled_from(["f", "f == true", "f != false", "f is null", "true"]),
    ).map("({})".format),
    lambda inner: _infix(["and", "or"], inner) | inner.map("not ({})".format) | _infix(["==", "!="], inner),
    max_leaves=5,
)


def naive(node: Node, row: dict[str, Any]) -> Any:
    """What a filter gives for one row, by the letter of its rules; None is null."""
    match node:
        case syntax.Literal(value):
            return value
        case syntax.Field(name):
            return row[name]
        case syntax.Unary("-", operand):
            value = naive(operand, row)
            return None if value is None else -value
        case syntax.Unary(_, operand):
            return naive(operand, row) is not True
        case syntax.Binary("and", left, right):
            return naive(left, row) is True and naive(right, row) is True
        case syntax.Binary("or", left, right):
            return naive(left, row) is True or naive(right, row) is True
        case syntax.In(operand, items):
            return naive(operand, row) in [item.value for item in items]
        case syntax.IsNull(operand):
            return naive(operand, row) is None
        case syntax.Binary(operator, left, right):
            return naive_binary(operator, naive(left, row), naive(right, row))
    raise AssertionError(node)


def naive_binary(operator: str, left: Any, right: Any) -> Any:
    if operator in ("+", "-", "*", "/"):
        if left is None or right is None or (operator == "/" and right == 0):
            return None
        results = {"+": lambda: left + right, "-": lambda: left - right, "*": lambda: left * right}
        found = results.get(operator, lambda: left / right)()
        return found if math.isfinite(found) else None
    if left is None or right is None:
        return False
    compared = {
        "<": lambda: left < right, "<=": lambda: left <= right, ">": lambda: left > right,
        ">=": lambda: left >= right, "==": lambda: left == right, "!=": lambda: left != right,
    }  # fmt: skip
    return compared[operator]()


@given(condition_texts, rows)
def test_a_filter_finds_the_rows_that_a_plain_interpreter_finds(text: str, found: list[dict[str, Any]]) -> None:
    try:
        compiled = compile_filter(text, SCHEMA)
    except FilterError as error:
        if any(word in str(error) for word in ("levels", "side", "never null")):
            return
        raise
    expected = [naive(parse_filter(text), row) is True for row in found]
    assert compiled.matches_rows(found, SCHEMA).tolist() == expected


@given(condition_texts)
def test_the_written_form_of_a_filter_parses_to_itself(text: str) -> None:
    once = written(parse_filter(text))
    try:
        assert written(parse_filter(once)) == once
    except FilterError as error:
        if "levels" not in str(error) and "characters" not in str(error):
            raise


def test_precedence_is_that_of_the_field() -> None:
    text = written(parse_filter("not a > 1 + 2 * -b and f or s = 'x' and a is not null"))
    assert text == "(((not (a > (1.0 + (2.0 * (- b))))) and f) or ((s == 'x') and (not (a is null))))"


def test_the_sum_of_left_to_right() -> None:
    assert written(parse_filter("a - b - 1 > 0")) == "(((a - b) - 1.0) > 0.0)"


@pytest.mark.parametrize(
    ("text", "position", "says"),
    [
        ("", 0, "expected a field or a value"),
        ("a >", 3, "was the end"),
        ("a > 1 b", 6, "expected an operator or the end, was b"),
        ("1 < a < 3", 6, "comparisons do not chain"),
        ("a > 'x'", 4, "expected a number, was a string"),
        ("a", 0, "such as `close > 5`"),
        ("s < 'x'", 0, "expected a number, was a string"),
        ("s == 3", 2, "a string and a number"),
        ("a == null", 5, "did you mean `is null`"),
        ("a != null", 5, "did you mean `is not null`"),
        ("aa > 1", 0, "there is no field aa; did you mean a?"),
        ("a > 1e999", 4, "that a float holds"),
        ("s == 'AAPL", 5, "a string that does not end"),
        ("a in ()", 6, "expected a number or a string in the list"),
        ("a in ('x')", 6, "expected a number, was a string"),
        ("__import__('os')", 10, "expected an operator or the end"),
        ("a.b > 1", 1, "was '.'"),
        ("(a > 1", 6, "expected ), was the end"),
        ("a > 1 and", 9, "was the end"),
        ("(" * 40 + "a > 1", 32, "at most 32 levels"),
        ("not " * 40 + "f", 128, "at most 32 levels"),
        ("a" * (MAX_LENGTH + 1), MAX_LENGTH, "at most 1000 characters"),
        (" or ".join(["a>1"] * 101), 352, "at most 200 names"),
        ("1 == 1", 2, "expected a field on one side"),
        ("a > 1 ; b > 1", 6, "was ';'"),
        ("٣ < a", 0, "expected a name"),
    ],
)
def test_what_is_no_filter_is_told_where_and_why(text: str, position: int, says: str) -> None:
    with pytest.raises(FilterError) as caught:
        compile_filter(text, SCHEMA)
    assert says in str(caught.value)
    assert caught.value.position == position


def test_traders_words_lead_to_the_fields() -> None:
    with pytest.raises(FilterError, match="did you mean free_float"):
        compile_filter("float < 20M", QUOTES)
    with pytest.raises(FilterError, match="did you mean relative_volume"):
        compile_filter("relative_volumes > 5", QUOTES)


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)
def test_a_preset_fits_the_quote_rows(preset: Any) -> None:
    assert compile_filter(preset.filter, QUOTES).fields <= set(QUOTES)
    assert preset.sort.removeprefix("-") in QUOTES


def test_the_five_pillars_are_those_of_day_traders() -> None:
    pillars = compile_filter(next(each.filter for each in PRESETS if each.name == "five_pillars"), QUOTES)
    good: dict[str, float | None] = {"close": 5.0, "free_float": 12e6, "pct_change": 14.0, "relative_volume": 6.5}
    bad = [good | {"close": 1.99}, good | {"close": 20.01}, good | {"free_float": 20e6}, good | {"pct_change": 9.9}]
    bad += [good | {"relative_volume": 4.9}, good | {"free_float": None}]
    assert pillars.matches_rows([good, *bad], QUOTES).tolist() == [True] + [False] * 6


def test_the_schema_is_that_of_the_row() -> None:
    assert QUOTES["close"] == "number"
    assert QUOTES["symbol"] == "string"
    assert QUOTES["opened_regular"] == "boolean"


def test_one_value_for_all_rows_is_a_mask_as_well() -> None:
    assert np.array_equal(compile_filter("true", SCHEMA).matches({}, None, 3), [True] * 3)  # type: ignore[arg-type]
