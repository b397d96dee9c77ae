"""Waiting for a condition, with an end."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def eventually(
    condition: Callable[[], Awaitable[T] | T], *, timeout_s: float = 20.0, interval_s: float = 0.1
) -> T:
    """The condition's value once it is true. Fails after `timeout_s`, naming the condition."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        found = await value if isinstance(value, Awaitable) else value
        if found:
            return found
        if time.monotonic() > deadline:
            name = getattr(condition, "__name__", repr(condition))
            raise AssertionError(f"{name} did not hold within {timeout_s:.0f} s; last value: {found!r}")
        await asyncio.sleep(interval_s)
