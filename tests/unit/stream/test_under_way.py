"""Waiting for flushes to arrive."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.stream.under_way import UnderWay


@given(st.lists(st.integers(0, 9), min_size=1, max_size=8), st.integers(1, 5))
def test_who_waits_goes_on_as_soon_as_there_are_fewer(flushes: list[int], most: int) -> None:
    """Not before, and whatever the steps in which they arrive."""

    async def run() -> None:
        under_way = UnderWay()
        under_way.add(sum(flushes))
        waiting = asyncio.create_task(under_way.fewer_than(most))
        left = sum(flushes)
        for arrived in flushes:
            await asyncio.sleep(0)
            assert waiting.done() == (left < most)
            left -= arrived
            under_way.done(arrived)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        assert len(under_way) == 0
        await waiting

    asyncio.run(run())


async def test_several_who_wait_are_all_woken() -> None:
    """An agent and a timer may write one partition."""
    under_way = UnderWay()
    under_way.add(4)
    waiting = [asyncio.create_task(under_way.fewer_than(most)) for most in (1, 3, 4)]
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(waiting[2]), 0.01)
    under_way.done(4)
    await asyncio.wait_for(asyncio.gather(*waiting), 5)
