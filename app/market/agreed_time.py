"""The newest time or day that a set of symbols agrees on: one event with a wrong time moves nothing."""

from collections.abc import Iterable
from heapq import nlargest
from operator import itemgetter
from typing import Any, TypeVar

from app.market.bounds import AGREEING_SYMBOLS

Value = TypeVar("Value", bound=Any)

_second = itemgetter(1)


def agreed(values: Iterable[Value]) -> Value | None:
    """The newest of the symbols' times or days, one of each, that three have reached, or all where there are fewer.

    None where there is none.
    """
    furthest = nlargest(AGREEING_SYMBOLS, values)
    return furthest[-1] if furthest else None


class AgreedTime:
    """`agreed` of the symbols' newest times (epoch ms), kept up to date as they change; 0 where there is none."""

    __slots__ = ("_furthest", "_times", "ms")

    def __init__(self) -> None:
        self._times: dict[str, int] = {}
        self._furthest: dict[str, int] = {}
        self.ms = 0

    @property
    def newest_ms(self) -> int:
        """The newest time of any symbol, 0 where there is none."""
        return max(self._furthest.values(), default=0)

    @property
    def settled(self) -> bool:
        """Whether there are symbols enough that no two of them decide: from then on it only moves ahead."""
        return len(self._furthest) == AGREEING_SYMBOLS

    def see(self, symbol: str, at_ms: int) -> None:
        """Take in a time that a symbol has reached; one before its newest changes nothing."""
        if at_ms <= self._times.get(symbol, -1):
            return
        self._times[symbol] = at_ms
        furthest = self._furthest
        if len(furthest) == AGREEING_SYMBOLS and symbol not in furthest:
            if at_ms <= self.ms:
                return
            del furthest[min(furthest.items(), key=_second)[0]]
        furthest[symbol] = at_ms
        self.ms = min(furthest.values())

    def forget(self, symbol: str) -> None:
        """Let a symbol count no more; one that is not known is ignored."""
        self._times.pop(symbol, None)
        if self._furthest.pop(symbol, None) is not None:
            self._furthest = dict(nlargest(AGREEING_SYMBOLS, self._times.items(), key=_second))
            self.ms = min(self._furthest.values(), default=0)
