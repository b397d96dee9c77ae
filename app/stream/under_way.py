"""Flushes of a partition that Kafka has not acknowledged yet: who folds waits while there are many."""

import asyncio


class UnderWay:
    """A count that can be waited for. Who waits is woken by `done` on this very object, whoever else
    has forgotten it: a partition that is lost meanwhile must not leave its agent waiting."""

    def __init__(self) -> None:
        self._count = 0
        self._fewer = asyncio.Event()

    def __len__(self) -> int:
        return self._count

    def add(self, flushes: int) -> None:
        """So many more are under way."""
        self._count += flushes

    def done(self, flushes: int) -> None:
        """So many have arrived, or never will."""
        self._count -= flushes
        self._fewer.set()

    async def fewer_than(self, most: int) -> None:
        """Wait until fewer are under way."""
        while self._count >= most:
            self._fewer.clear()
            await self._fewer.wait()
