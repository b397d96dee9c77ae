"""A process of its own that asks MarketDataCache: prints `ready`, waits for a line, asks, prints what it got."""

import asyncio
import sys
from collections import Counter

import msgspec
import structlog

from app.reference.opening import open_cache
from app.reference.records import Kind
from app.reference.statistics import Report
from app.settings import Settings


class Order(msgspec.Struct):
    """What to ask for: `each` requests at once for every ticker."""

    kind: Kind
    tickers: list[str]
    each: int = 1


class Result(msgspec.Struct):
    """How many answers had which state, the distinct values, and what the cache counted."""

    states: dict[str, int]
    values: int
    report: Report


async def main(order: Order) -> None:
    """Carry an order out."""
    # Results go to stdout, so that the log goes to stderr.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    settings = Settings.load()
    async with open_cache(settings) as cache:
        print("ready", flush=True)  # noqa: T201 - the parent waits for it
        await asyncio.to_thread(sys.stdin.readline)
        answers = await asyncio.gather(
            *(cache.get(order.kind, ticker) for _ in range(order.each) for ticker in order.tickers)
        )
        states = Counter(str(answer.state) for answer in answers)
        values = len({msgspec.json.encode(answer.value) for answer in answers})
        result = Result(dict(states), values, cache.statistics())
        print(msgspec.json.encode(result).decode(), flush=True)  # noqa: T201 - the parent reads it


if __name__ == "__main__":
    asyncio.run(main(msgspec.json.decode(sys.argv[1], type=Order)))
