"""Whether a filter fits a row: its fields are there and its types agree."""

import difflib
import types
from collections.abc import Mapping
from functools import cache
from typing import Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from app.market import filter_syntax as syntax
from app.market.filter_syntax import FilterError, Node

Kind = Literal["number", "string", "boolean"]

#: The fields of a row that a filter may name, and what they hold; each may be null as well.
Schema = Mapping[str, Kind]

_KINDS: Mapping[object, Kind] = {float: "number", int: "number", str: "string", bool: "boolean"}

#: What traders call the fields.
_SYNONYMS = {
    "price": "close", "last": "close", "float": "free_float", "rvol": "relative_volume", "gap": "pct_open_gap",
    "ticker": "symbol", "day_volume": "accumulated_volume", "prev_close": "prev_day_close", "pct": "pct_change",
}  # fmt: skip


@cache
def schema_of(row: type[msgspec.Struct]) -> Schema:
    """The fields of a struct that hold a number, a string, or true or false; others cannot be filtered by."""
    schema: dict[str, Kind] = {}
    names = dict(zip(row.__struct_fields__, row.__struct_encode_fields__, strict=True))
    for name, hint in get_type_hints(row).items():
        options = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
        kinds = {_kind(option) for option in options if option is not type(None)}
        if len(kinds) == 1 and (kind := kinds.pop()) is not None and name in names:
            schema[names[name]] = kind
    return schema


def _kind(hint: object) -> Kind | None:
    if get_origin(hint) is Literal:
        kinds = {_KINDS.get(type(value)) for value in get_args(hint)}
        return kinds.pop() if len(kinds) == 1 else None
    if isinstance(hint, type) and issubclass(hint, str):
        return "string"
    return _KINDS.get(hint)


def check_filter(node: Node, schema: Schema) -> frozenset[str]:
    """The fields that a filter names. Raises `FilterError`: one does not exist, or types do not agree."""
    fields: set[str] = set()
    _expect(node, "boolean", schema, fields)
    return frozenset(fields)


def _expect(node: Node, wanted: Kind, schema: Schema, fields: set[str]) -> None:
    found = kind_of(node, schema, fields)
    if found != wanted:
        what = {"boolean": "a condition", "number": "a number", "string": "a string"}
        hint = "a comparison, such as `close > 5`" if wanted == "boolean" and found == "number" else None
        raise FilterError(f"expected {what[wanted]}, was {what[found]}", _start(node), hint)


def kind_of(node: Node, schema: Schema, fields: set[str]) -> Kind:
    """What a tree gives; its fields are added to `fields`. Raises `FilterError` where its types do not agree."""
    match node:
        case syntax.Literal(value):
            return _KINDS[type(value)]
        case syntax.Field(name, at):
            fields.add(name)
            if name not in schema:
                raise _unknown(name, at, schema)
            return schema[name]
        case syntax.Unary("-", operand):
            _expect(operand, "number", schema, fields)
            return "number"
        case syntax.Unary(_, operand):
            _expect(operand, "boolean", schema, fields)
        case syntax.Binary(operator, left, right, at):
            return _binary(operator, left, right, at, schema, fields)
        case syntax.In(operand, items, at):
            kind = kind_of(operand, schema, fields)
            if isinstance(operand, syntax.Literal):
                raise FilterError("expected a field before `in`, was a value", at)
            for item in items:
                _expect(item, kind, schema, fields)
        case syntax.IsNull(operand, at):
            if kind_of(operand, schema, fields) == "boolean" and not isinstance(operand, syntax.Field):
                raise FilterError("a condition is never null: `is null` asks for a field", at)
    return "boolean"


def _binary(operator: str, left: Node, right: Node, at: int, schema: Schema, fields: set[str]) -> Kind:
    if operator in ("==", "!="):
        kinds = kind_of(left, schema, fields), kind_of(right, schema, fields)
        if kinds[0] != kinds[1]:
            raise FilterError(f"expected two of a kind, was a {kinds[0]} and a {kinds[1]}", at)
        if isinstance(left, syntax.Literal) and isinstance(right, syntax.Literal):
            raise FilterError("expected a field on one side, was a value on both", at)
        return "boolean"
    wanted: Kind = "boolean" if operator in ("and", "or") else "number"
    _expect(left, wanted, schema, fields)
    _expect(right, wanted, schema, fields)
    return "number" if operator in ("+", "-", "*", "/") else "boolean"


def _start(node: Node) -> int:
    """Where a tree begins in the text."""
    match node:
        case syntax.Binary(_, left, _, at):
            return min(at, _start(left))
        case syntax.In(operand, _, at) | syntax.IsNull(operand, at):
            return min(at, _start(operand))
    return node.at


def _unknown(name: str, at: int, schema: Schema) -> FilterError:
    lower = name.lower()
    close = [_SYNONYMS[lower]] if _SYNONYMS.get(lower) in schema else difflib.get_close_matches(lower, schema, 1, 0.5)
    return FilterError(f"there is no field {name}", at, close[0] if close else None)
