"""The newest time or day that a set of symbols agrees on: one event with a wrong time moves nothing."""

from collections.abc import Iterable
from heapq import nlargest
from typing import Any, TypeVar

from app.market.bounds import AGREEING_SYMBOLS

Value = TypeVar("Value", bound=Any)


def agreed(values: Iterable[Value]) -> Value | None:
    """The newest of the symbols' times or days, one of each, that three have reached, or all where there are fewer.

    None where there is none.
    """
    furthest = nlargest(AGREEING_SYMBOLS, values)
    return furthest[-1] if furthest else None


class AgreedTime:
    """`agreed` of the symbols' newest times (epoch ms), kept up to date as they change."""

    __slots__ = ("_furthest", "_noted", "_times")

    def __init__(self) -> None:
        self._times: dict[str, int] = {}
        self._furthest: list[str] = []
        # Symbols that have moved since the furthest were found: they are compared together, when somebody looks.
        self._noted: set[str] = set()

    @property
    def ms(self) -> int:
        """The time that is agreed on, 0 where there is none."""
        furthest = self._settled()
        return self._times[furthest[-1]] if furthest else 0

    @property
    def newest_ms(self) -> int:
        """The newest time of any symbol, 0 where there is none."""
        furthest = self._settled()
        return self._times[furthest[0]] if furthest else 0

    @property
    def settled(self) -> bool:
        """Whether there are symbols enough that no two of them decide: from then on it only moves ahead."""
        return len(self._times) >= AGREEING_SYMBOLS

    def see(self, symbol: str, at_ms: int) -> None:
        """Take in a time that a symbol has reached; one before its newest changes nothing."""
        if at_ms > self._times.get(symbol, -1):
            self._times[symbol] = at_ms
            self._noted.add(symbol)

    def see_all(self, times: dict[str, int]) -> None:
        """As `see` for many symbols, none of whose times is before its newest."""
        self._times |= times
        self._noted.update(times)

    def forget(self, symbol: str) -> None:
        """Let a symbol count no more; one that is not known is ignored."""
        self._times.pop(symbol, None)
        self._noted.discard(symbol)
        if symbol in self._furthest:
            self._furthest, self._noted = [], set(self._times)

    def _settled(self) -> list[str]:
        if self._noted:
            self._furthest = nlargest(AGREEING_SYMBOLS, self._noted.union(self._furthest), key=self._times.__getitem__)
            self._noted.clear()
        return self._furthest
