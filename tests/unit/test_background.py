"""A background task goes on, or its process hears why not."""

import asyncio

import pytest

from app.background import Background
from app.gateway.gateway import Gateway
from app.gateway.server import make_server
from app.settings import Settings
from tests.eventually import eventually


class Work:
    """Fails as told, then waits."""

    def __init__(self, *failures: BaseException | None) -> None:
        self.failures, self.starts = list(failures), 0
        self.waiting = False

    async def __call__(self) -> None:
        self.starts += 1
        if not self.failures:
            self.waiting = True
            await asyncio.Event().wait()
        failure = self.failures.pop(0)
        if failure is not None:
            raise failure


@pytest.mark.parametrize(
    "failure", [OSError("away"), None, asyncio.CancelledError()], ids=["raises", "ends", "foreign"]
)
async def test_work_that_ends_unasked_is_started_again(failure: BaseException | None) -> None:
    """Also where a cancellation comes out of it that nobody asked for."""
    work, reasons = Work(failure), list[str]()
    async with Background("work", work, (OSError,), pytest.fail, reasons.append):  # type: ignore[arg-type]
        await eventually(lambda: work.waiting)
    assert work.starts == 2
    assert len(reasons) == 1


async def test_an_error_that_does_not_pass_is_told_once_and_the_work_rests() -> None:
    errors: list[Exception] = []
    work = Work(ValueError("half done"))
    async with Background("work", work, (OSError,), errors.append):
        await eventually(lambda: errors)
    assert [str(error) for error in errors] == ["half done"]
    assert work.starts == 1


async def test_its_owner_ends_it() -> None:
    work = Work()
    background = Background("work", work, (OSError,), pytest.fail)  # type: ignore[arg-type]
    async with background:
        await eventually(lambda: work.waiting)
    assert background._task is not None
    assert background._task.cancelled()


async def test_a_gateway_whose_reader_failed_ends_and_says_why() -> None:
    """It is not ready from that moment on, and its server stops at the next tick."""
    server = make_server(Settings.load())
    gateway: Gateway = server.gateway
    server.config.load()
    assert not await server.on_tick(1)
    gateway.reader._fail(ValueError("half done"))
    assert await server.on_tick(1)
    assert gateway.reasons() == ["the gateway is ending: ValueError('half done')"]
