"""Waiting for a condition, with an end."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

T = TypeVar("T")


@overload
async def eventually(
    condition: Callable[[], Awaitable[T]], *, timeout_s: float = 20.0, interval_s: float = 0.1
) -> T: ...


@overload
async def eventually(condition: Callable[[], T], *, timeout_s: float = 20.0, interval_s: float = 0.1) -> T: ...


async def eventually(condition: Callable[[], Any], *, timeout_s: float = 20.0, interval_s: float = 0.1) -> Any:
    """The condition's value once it is true. Fails after `timeout_s`, naming the condition."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        found = await value if inspect.isawaitable(value) else value
        if found:
            return found
        if time.monotonic() > deadline:
            name = getattr(condition, "__name__", repr(condition))
            raise AssertionError(f"{name} did not hold within {timeout_s:.0f} s; last value: {found!r}")
        await asyncio.sleep(interval_s)
