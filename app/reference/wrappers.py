"""What is put around a call to Redis or REST: a log, retries, a circuit breaker; each by itself.

A wrapper takes a name and a call and makes the call; `chain` puts one around another. So each can
be tested alone, and what a client goes through can be read off one line where it is made.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

import stamina
import structlog
from purgatory.domain.model import Context, OpenedState
from purgatory.service._async.circuitbreaker import AsyncCircuitBreaker, AsyncCircuitBreakerFactory

from app import clock

log = structlog.get_logger(__name__)

T = TypeVar("T")
Call = Callable[[], Awaitable[T]]

#: An outage is one line when it begins, and then one at most this often.
LOG_EVERY_S = 10.0


class Wrapper(Protocol):
    """Makes a call, one way or another."""

    async def __call__(self, name: str, call: Call[T]) -> T:
        """Make the call that is named."""
        ...


class Logged:
    """Logs calls that fail, at most one line in 10 s for each sort of failure; `answers` are no failures."""

    def __init__(self, what: str, answers: Callable[[Exception], bool] = lambda _: False) -> None:
        self._what, self._answers = what, answers
        self._logged = dict[str, tuple[float, int]]()

    async def __call__(self, name: str, call: Call[T]) -> T:
        """Make the call; its failure goes on to the caller."""
        try:
            return await call()
        except Exception as error:
            if not self._answers(error):
                self._note(name, error)
            raise

    def _note(self, name: str, error: Exception) -> None:
        sort, now = type(error).__name__, clock.monotonic_s()
        last, left_out = self._logged.get(sort, (now - LOG_EVERY_S, 0))
        if now - last < LOG_EVERY_S:
            self._logged[sort] = (last, left_out + 1)
            return
        log.warning("call_failed", to=self._what, call=name, error=str(error), sort=sort, left_out=left_out)
        self._logged[sort] = (now, 0)


class Retried:
    """Tries again with exponential back-off and jitter; `pause` says whether, and may say how long (s)."""

    def __init__(self, attempts: int, first_s: float, pause: Callable[[Exception], bool | float]) -> None:
        self._attempts, self._first_s, self._pause = attempts, first_s, pause

    async def __call__(self, name: str, call: Call[T]) -> T:
        """Make the call until it succeeds, its failure is not to be retried, or the tries are used up."""
        async for attempt in stamina.retry_context(
            on=self._pause, attempts=self._attempts, timeout=None,
            wait_initial=self._first_s, wait_max=30 * self._first_s, wait_jitter=self._first_s,
        ):  # fmt: skip
            with attempt:
                return await call()
        raise AssertionError("retries ended without a result")


class Guarded:
    """A circuit breaker: after some failures in a row calls fail at once, for a while.

    `counts` says which failures are the other side's fault; `refusal` makes the error that is raised
    while the circuit is open.
    """

    def __init__(
        self,
        name: str,
        failures: int,
        open_s: float,
        counts: Callable[[Exception], bool],
        refusal: Callable[[], Exception],
    ) -> None:
        self._factory = AsyncCircuitBreakerFactory(default_threshold=failures, default_ttl=open_s)
        self._name, self._counts, self._refusal = name, counts, refusal
        self._breaker: AsyncCircuitBreaker | None = None

    @property
    def context(self) -> Context | None:
        """The breaker's state, None before the first call."""
        return None if self._breaker is None else self._breaker.context

    @property
    def closed(self) -> bool:
        """Whether calls go through as usual."""
        return self._breaker is None or self._breaker.context.state == "closed"

    def check(self) -> None:
        """Raise the refusal where a call would be refused now, before anything is spent on it."""
        context = self.context
        if context is None or context.state != "opened" or context.opened_at is None:
            return
        if clock.wall_s() < context.opened_at + context.ttl:  # the library stamps with the wall clock
            raise self._refusal()

    async def __call__(self, name: str, call: Call[T]) -> T:
        """Make the call, unless the circuit is open."""
        if self._breaker is None:
            self._breaker = await self._factory.get_breaker(
                self._name,
                # A caller that went away says nothing about the other side.
                exclude=[(Exception, lambda error: not self._counts(error)), asyncio.CancelledError],
            )
        try:
            async with self._breaker:
                return await call()
        except OpenedState as opened:
            # The library raises one object again and again: its traceback would grow for ever.
            opened.__traceback__ = None
            raise self._refusal() from None


def chain(*wrappers: Wrapper) -> Wrapper:
    """One wrapper of several, the outermost first."""

    async def made(name: str, call: Call[T]) -> T:
        wrapped = call
        for wrapper in reversed(wrappers):
            wrapped = _around(wrapper, name, wrapped)
        return await wrapped()

    return made


def _around(wrapper: Wrapper, name: str, call: Call[T]) -> Call[T]:
    return lambda: wrapper(name, call)
