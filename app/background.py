"""Background tasks have an owner: one that ends unasked starts again, or ends the process with the reason."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Self

import structlog

from app import clock

log = structlog.get_logger(__name__)

#: Pauses between two starts: doubling from the first to the last. What is away is found back within two seconds.
FIRST_PAUSE_S, LAST_PAUSE_S = 0.1, 1.0

#: Work that went on for this long begins with the first pause again.
STEADY_S = 10.0

#: What stays wrong is said at once, and then this often: not with every attempt.
SAY_AGAIN_S = 60.0


class Background:
    """Runs `work` until it is closed; an async context manager.

    Work never returns by itself. Where it raises one of `passing`, such as an outage of Kafka, it is started again
    after a pause. A cancellation that its owner did not ask for counts as such, too: aiokafka lets those of its
    own tasks out. Any other error is `failed`, once: the work does not go on, and who owns the process ends it.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[], Awaitable[object]],
        passing: tuple[type[Exception], ...],
        failed: Callable[[Exception], None],
        on_trouble: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.name, self._work, self._passing = name, work, passing
        self._failed, self._on_trouble = failed, on_trouble
        self._task: asyncio.Task[None] | None = None
        self._said_s: float | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name=self.name)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        pause_s = FIRST_PAUSE_S
        while True:
            started_s = clock.monotonic_s()
            try:
                await self._work()
                reason = "it returned"
            except asyncio.CancelledError as error:
                task = asyncio.current_task()
                if task is None or task.cancelling():
                    raise
                reason = f"cancelled from within: {error!r}"
            except self._passing as error:
                reason = f"{type(error).__name__}: {error}".removesuffix(": ")
            except Exception as error:
                log.exception("background_task_failed", task=self.name)
                self._failed(error)
                return
            self._on_trouble(reason)
            self._say(reason)
            if clock.monotonic_s() - started_s > STEADY_S:
                pause_s = FIRST_PAUSE_S
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, LAST_PAUSE_S)

    def _say(self, reason: str) -> None:
        now_s = clock.monotonic_s()
        if self._said_s is None or now_s - self._said_s >= SAY_AGAIN_S:
            self._said_s = now_s
            log.warning("background_task_starts_again", task=self.name, reason=reason)
