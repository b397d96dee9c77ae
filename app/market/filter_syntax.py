"""The language of filters: text to a tree, by precedence climbing (V. R. Pratt, 1973).

    pct_change > 10 and relative_volume > 5 and free_float < 20M
    close between 2 and 20 and not symbol in ('SPY', 'QQQ')
    prev_day_close is null or (close - open) / open * 100 > 3

From loose to tight: `or`; `and`; `not`; comparisons (`= == != < <= > >=`, `in`, `between`, `is null`),
which do not chain; `+ -`; `* /`; the sign. A number may end in `k`, `M` or `B`. Nothing of a filter is
ever run as Python, and its length, depth and size are bounded.
"""

import math
import re
from dataclasses import dataclass
from typing import Literal as OneOf

MAX_LENGTH = 1000
MAX_DEPTH = 32
MAX_NODES = 200


class FilterError(ValueError):
    """A text that is no filter: `position` is the character where (from 0), `suggestion` what may be meant."""

    def __init__(self, text: str, position: int, suggestion: str | None = None) -> None:
        hint = f"; did you mean {suggestion}?" if suggestion else ""
        super().__init__(f"at character {position + 1}: {text}{hint}")
        self.position, self.suggestion = position, suggestion


@dataclass(frozen=True, slots=True)
class Literal:
    """A number, a string, or true or false."""

    value: float | str | bool
    at: int


@dataclass(frozen=True, slots=True)
class Field:
    """A field of the row."""

    name: str
    at: int


@dataclass(frozen=True, slots=True)
class Unary:
    """`-x` or `not x`."""

    operator: OneOf["-", "not"]
    operand: "Node"
    at: int


@dataclass(frozen=True, slots=True)
class Binary:
    """Arithmetic, a comparison, `and` or `or`."""

    operator: str
    left: "Node"
    right: "Node"
    at: int


@dataclass(frozen=True, slots=True)
class In:
    """Whether a value is one of a list's."""

    operand: "Node"
    items: tuple[Literal, ...]
    at: int


@dataclass(frozen=True, slots=True)
class IsNull:
    """Whether a value is not known."""

    operand: "Node"
    at: int


Node = Literal | Field | Unary | Binary | In | IsNull

_TOKEN = re.compile(
    r"""\s*(?:
    (?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)(?P<suffix>[kKmMbB]?)(?![\w.])
    | (?P<name>[A-Za-z_]\w*)
    | (?P<string>'[^']*'|"[^"]*")
    | (?P<sign><=|>=|==|!=|<>|[-+*/()<>=,])
    )""",
    re.VERBOSE | re.ASCII,
)
_SUFFIXES = {"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9}
_WORDS = frozenset({"and", "or", "not", "in", "is", "null", "between", "true", "false"})
_COMPARISONS = {"=": "==", "==": "==", "!=": "!=", "<>": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_OR, _AND, _NOT, _COMPARISON, _SUM, _PRODUCT, _SIGN = range(1, 8)
_POWERS = {"or": _OR, "and": _AND, "+": _SUM, "-": _SUM, "*": _PRODUCT, "/": _PRODUCT} | dict.fromkeys(
    [*_COMPARISONS, "in", "between", "is", "not"], _COMPARISON
)


@dataclass(frozen=True, slots=True)
class _Token:
    kind: OneOf["number", "string", "name", "sign", "end"]
    text: str
    at: int
    value: float | str | None = None


def parse_filter(text: str) -> Node:
    """The tree of a filter, its types not yet judged.

    Raises `FilterError` where the text is none, or is longer, deeper or larger than a filter may be.
    """
    if len(text) > MAX_LENGTH:
        raise FilterError(f"expected at most {MAX_LENGTH} characters, was {len(text)}", MAX_LENGTH)
    parser = _Parser(_tokens(text))
    node = parser.expression(0)
    parser.expect_end()
    return node


def _tokens(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    at, end = 0, len(text.rstrip())
    while at < end:
        found = _TOKEN.match(text, at)
        if found is None:
            at = re.compile(r"\s*").match(text, at).end()  # type: ignore[union-attr]
            what = "a string that does not end" if text[at] in "'\"" else repr(text[at])
            raise FilterError(f"expected a name, a number, a string or an operator, was {what}", at)
        tokens.append(_token(found))
        at = found.end()
    return [*tokens, _Token("end", "the end", end)]


def _token(found: re.Match[str]) -> _Token:
    if number := found["number"]:
        at = found.start("number")
        value = float(number) * _SUFFIXES[found["suffix"].lower()]
        if not math.isfinite(value):
            raise FilterError(f"expected a number that a float holds, was {number}", at)
        return _Token("number", number + found["suffix"], at, value)
    if name := found["name"]:
        lower = name.lower()
        return _Token("name", lower if lower in _WORDS else name, found.start("name"))
    if string := found["string"]:
        return _Token("string", string, found.start("string"), string[1:-1])
    return _Token("sign", found["sign"], found.start("sign"))


class _Parser:
    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens, self._next = tokens, 0
        self._depth = self._nodes = 0

    @property
    def _token(self) -> _Token:
        return self._tokens[self._next]

    def _advance(self) -> _Token:
        token = self._token
        self._next += 1
        return token

    def expect_end(self) -> None:
        """Raises `FilterError` where something is left."""
        if self._token.kind != "end":
            raise FilterError(f"expected an operator or the end, was {self._token.text}", self._token.at)

    def expression(self, power: int) -> Node:
        """An expression whose operators bind more tightly than `power`."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise FilterError(f"expected at most {MAX_DEPTH} levels, was nested more deeply", self._token.at)
        left = self._counted(self._prefix())
        while (found := self._power()) > power:
            left = self._counted(self._infix(left, found))
            if found == _COMPARISON and self._power() == _COMPARISON:
                raise FilterError("comparisons do not chain: join them by `and`, or use `between`", self._token.at)
        self._depth -= 1
        return left

    def _power(self) -> int:
        token = self._token
        return 0 if token.kind not in ("name", "sign") else _POWERS.get(token.text, 0)

    def _counted(self, node: Node) -> Node:
        self._nodes += 1 + (len(node.items) if isinstance(node, In) else 0)
        if self._nodes > MAX_NODES:
            raise FilterError(f"expected at most {MAX_NODES} names, values and operators, was more", node.at)
        return node

    def _prefix(self) -> Node:
        token = self._advance()
        if token.kind in ("number", "string") and token.value is not None:
            return Literal(token.value, token.at)
        if token.text == "-":
            return Unary("-", self.expression(_SIGN), token.at)
        if token.text == "not":
            return Unary("not", self.expression(_NOT), token.at)
        if token.text == "(":
            inner = self.expression(0)
            self._expect(")")
            return inner
        if token.text in ("true", "false"):
            return Literal(token.text == "true", token.at)
        if token.kind == "name" and token.text not in _WORDS:
            return Field(token.text, token.at)
        hint = "field is null" if token.text == "null" else None
        raise FilterError(f"expected a field or a value, was {token.text}", token.at, hint)

    def _infix(self, left: Node, power: int) -> Node:
        token = self._advance()
        if token.text == "is":
            negated = self._accept("not")
            self._expect("null")
            return self._negated(IsNull(left, token.at), negated)
        negated = token.text == "not"
        if negated:
            token = self._advance()
            if token.text not in ("in", "between"):
                raise FilterError(f"expected `in` or `between` after `not`, was {token.text}", token.at)
        if token.text == "in":
            return self._negated(In(left, self._items(), token.at), negated)
        if token.text == "between":
            return self._negated(self._between(left, token.at), negated)
        if self._token.text == "null" and power == _COMPARISON:
            wanted = "is not null" if _COMPARISONS[token.text] == "!=" else "is null"
            raise FilterError("nothing is equal to null", self._token.at, f"`{wanted}`")
        return Binary(_COMPARISONS.get(token.text, token.text), left, self.expression(power), token.at)

    def _between(self, left: Node, at: int) -> Node:
        low = self.expression(_COMPARISON)
        self._expect("and")
        high = self.expression(_COMPARISON)
        # The operand stands in both comparisons: what it costs is counted twice.
        self._nodes += _size(left) + 2
        return Binary("and", Binary(">=", left, low, at), Binary("<=", left, high, at), at)

    def _negated(self, node: Node, negated: bool) -> Node:
        return Unary("not", self._counted(node), node.at) if negated else node

    def _items(self) -> tuple[Literal, ...]:
        self._expect("(")
        items = [self._item()]
        while self._accept(","):
            items.append(self._item())
        self._expect(")")
        return tuple(items)

    def _item(self) -> Literal:
        negative = self._accept("-")
        token = self._advance()
        if isinstance(token.value, float):
            return Literal(-token.value if negative else token.value, token.at)
        if token.kind == "string" and isinstance(token.value, str) and not negative:
            return Literal(token.value, token.at)
        raise FilterError(f"expected a number or a string in the list, was {token.text}", token.at)

    def _accept(self, text: str) -> bool:
        if self._token.kind in ("name", "sign") and self._token.text == text:
            self._next += 1
            return True
        return False

    def _expect(self, text: str) -> None:
        if not self._accept(text):
            raise FilterError(f"expected {text}, was {self._token.text}", self._token.at)


def _size(node: Node) -> int:
    """How many nodes a tree has."""
    if isinstance(node, (Literal, Field)):
        return 1
    if isinstance(node, Binary):
        return 1 + _size(node.left) + _size(node.right)
    return 1 + _size(node.operand) + (len(node.items) if isinstance(node, In) else 0)


def written(node: Node) -> str:
    """A filter's canonical text: equal trees have equal ones, and it parses to the same tree."""
    if isinstance(node, Literal):
        if isinstance(node.value, bool):
            return str(node.value).lower()
        if isinstance(node.value, float):
            return repr(node.value)
        return f'"{node.value}"' if "'" in node.value else f"'{node.value}'"
    if isinstance(node, Field):
        return node.name
    if isinstance(node, Unary):
        return f"({node.operator} {written(node.operand)})"
    if isinstance(node, Binary):
        return f"({written(node.left)} {node.operator} {written(node.right)})"
    if isinstance(node, In):
        return f"({written(node.operand)} in ({', '.join(map(written, node.items))}))"
    return f"({written(node.operand)} is null)"
