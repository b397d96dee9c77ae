"""Filters over many rows at once: a checked tree becomes a chain of numpy operations.

A row costs a filter some nanoseconds: that is what lets a hundred filters watch a whole market.
A value that is not known is NaN in a column of numbers and -1 in one of strings; a comparison with it
is false, arithmetic with it is not known either, as is a division by zero.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from app.market import filter_syntax as syntax
from app.market.filter_check import Kind, Schema, check_filter, kind_of
from app.market.filter_syntax import FilterError, Node, parse_filter, written

__all__ = ["Codes", "Columns", "Filter", "FilterError", "compile_filter", "encoded"]

NULL_CODE = -1
#: The code of a string that no row has had.
UNSEEN_CODE = -2

Vector = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]


class Codes:
    """A number for each string that a column held, so that strings are compared as numbers."""

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}

    def known(self, text: str) -> int:
        """The code of a string; `UNSEEN_CODE` where no row has had it."""
        return self._codes.get(text, UNSEEN_CODE)

    def of(self, text: str | None) -> int:
        """The code of a row's string, a new one where it is the first; `NULL_CODE` for None."""
        return NULL_CODE if text is None else self._codes.setdefault(text, len(self._codes))


#: Columns by the field's name, all of one length; see `encoded`.
Columns = Mapping[str, Vector]
_Evaluate = Callable[[Columns, Codes], Any]


def encoded(values: Iterable[Any], kind: Kind, codes: Codes) -> Vector:
    """A column of a field's values: float64 (null is NaN; true 1.0), or codes of strings as int64."""
    if kind == "string":
        return np.fromiter(map(codes.of, values), np.int64)
    return np.array(list(values), np.float64)


class Filter:
    """A condition on a row; equal ones have equal `text`, which may be longer than a filter's text can be.

    `fields` are those that it looks at.
    """

    def __init__(self, node: Node, schema: Schema) -> None:
        self.fields = check_filter(node, schema)
        self.text = written(node)
        self._evaluate = _Compiler(schema).truth(node)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Filter) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)

    def matches(self, columns: Columns, codes: Codes, count: int) -> Mask:
        """Which of `count` rows match; the columns of `fields` have to be there."""
        with np.errstate(all="ignore"):
            found = np.asarray(self._evaluate(columns, codes), np.bool_)
        return np.broadcast_to(found, (count,)) if found.ndim == 0 else found

    def matches_rows(self, rows: Sequence[Mapping[str, Any]], schema: Schema) -> Mask:
        """Which of some rows match; a field that a row does not have is null."""
        codes = Codes()
        columns = {name: encoded((row.get(name) for row in rows), schema[name], codes) for name in self.fields}
        return self.matches(columns, codes, len(rows))


def compile_filter(text: str, schema: Schema) -> Filter:
    """The filter of a text over rows of a schema. Raises `FilterError`: it is none, or does not fit."""
    return Filter(parse_filter(text), schema)


_ARITHMETIC: Mapping[str, Callable[[Any, Any], Any]] = {
    "+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide,
}  # fmt: skip
_ORDER: Mapping[str, Callable[[Any, Any], Any]] = {
    "<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal, "==": np.equal,
}  # fmt: skip


class _Compiler:
    def __init__(self, schema: Schema) -> None:
        self._schema = schema

    def truth(self, node: Node) -> _Evaluate:
        """Evaluates a condition to true and false; a null one is false."""
        match node:
            case syntax.Unary(_, operand):
                inner = self.truth(operand)
                return lambda columns, codes: np.logical_not(inner(columns, codes))
            case syntax.Binary("and" | "or" as operator, left, right):
                both = np.logical_and if operator == "and" else np.logical_or
                first, second = self.truth(left), self.truth(right)
                return lambda columns, codes: both(first(columns, codes), second(columns, codes))
            case syntax.Binary("!=", left, right):
                return self._unequal(left, right)
            case syntax.Binary(operator, left, right):
                compare = _ORDER[operator]
                first, second = self._value(left), self._value(right)
                if operator == "==" and self._kind(left) == "string":
                    return lambda columns, codes: _same(first(columns, codes), second(columns, codes))
                return lambda columns, codes: compare(first(columns, codes), second(columns, codes))
            case syntax.In(operand, items):
                return self._one_of(operand, items)
            case syntax.IsNull(operand):
                value = self._value(operand)
                if self._kind(operand) == "string":
                    return lambda columns, codes: np.equal(value(columns, codes), NULL_CODE)
                return lambda columns, codes: np.isnan(value(columns, codes))
        value = self._value(node)
        return lambda columns, codes: np.equal(value(columns, codes), 1.0)

    def _kind(self, node: Node) -> Kind:
        return kind_of(node, self._schema, set())

    def _value(self, node: Node) -> _Evaluate:
        """Evaluates to numbers, codes of strings, or 1.0, 0.0 and NaN."""
        match node:
            case syntax.Literal(str() as text):
                return lambda columns, codes: codes.known(text)
            case syntax.Literal(value):
                number = np.float64(value)
                return lambda columns, codes: number
            case syntax.Field(name):
                return lambda columns, codes: columns[name]
            case syntax.Unary("-", operand):
                inner = self._value(operand)
                return lambda columns, codes: np.negative(inner(columns, codes))
            case syntax.Binary("+" | "-" | "*" | "/" as operator, left, right):
                combine = _ARITHMETIC[operator]
                first, second = self._value(left), self._value(right)
                return lambda columns, codes: _finite(combine(first(columns, codes), second(columns, codes)))
        truth = self.truth(node)
        return lambda columns, codes: np.asarray(truth(columns, codes), np.float64)

    def _unequal(self, left: Node, right: Node) -> _Evaluate:
        first, second = self._value(left), self._value(right)
        known = _is_text if self._kind(left) == "string" else _is_number

        def unequal(columns: Columns, codes: Codes) -> Any:
            one, other = first(columns, codes), second(columns, codes)
            return np.not_equal(one, other) & known(one) & known(other)

        return unequal

    def _one_of(self, operand: Node, items: Sequence[syntax.Literal]) -> _Evaluate:
        value = self._value(operand)
        if self._kind(operand) == "string":
            texts = [str(item.value) for item in items]
            return lambda columns, codes: np.isin(value(columns, codes), [codes.known(text) for text in texts])
        numbers = np.array([item.value for item in items], np.float64)
        return lambda columns, codes: np.isin(value(columns, codes), numbers)


def _same(one: Any, other: Any) -> Any:
    return np.equal(one, other) & np.not_equal(one, NULL_CODE)


def _is_text(value: Any) -> Any:
    return np.not_equal(value, NULL_CODE)


def _is_number(value: Any) -> Any:
    return np.logical_not(np.isnan(value))


def _finite(value: Any) -> Any:
    return np.where(np.isfinite(value), value, np.nan)
