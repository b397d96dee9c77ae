"""Warms the cache for a list of symbols, a bounded number at a time, and says how far it is."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from msgspec import Struct

from app.reference.cache import MarketDataCache
from app.reference.records import Kind, State


class Warmed(Struct, frozen=True):
    """How many values were asked for, and how many ended in which state."""

    asked: int
    states: dict[State, int]


async def warm(
    cache: MarketDataCache,
    tickers: Sequence[str],
    kinds: Iterable[Kind] = tuple(Kind),
    *,
    concurrency: int = 64,
    progress: Callable[[int, int], None] | None = None,
) -> Warmed:
    """Have every kind of value of the tickers in the cache; what is there is not fetched again.

    `progress(done, of)` is called after each value.
    """
    wanted = [(kind, ticker) for ticker in dict.fromkeys(tickers) for kind in kinds]
    left, states = iter(wanted), Counter[State]()

    async def work() -> None:
        for kind, ticker in left:
            answer = await cache.get(kind, ticker)
            states[answer.state] += 1
            if progress is not None:
                progress(states.total(), len(wanted))

    async with asyncio.TaskGroup() as group:
        for _ in range(min(concurrency, len(wanted))):
            group.create_task(work())
    return Warmed(len(wanted), dict(states))
