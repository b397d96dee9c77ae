"""What is put around a call: each by itself, and one around the other."""

import asyncio

import pytest

from app.reference.wrappers import Guarded, Retried, chain


class Flaky:
    """Fails so many times, then succeeds; counts its calls."""

    def __init__(self, failures: int, error: type[Exception] = ConnectionError) -> None:
        self.failures, self.error, self.calls = failures, error, 0

    async def __call__(self) -> int:
        self.calls += 1
        if self.calls <= self.failures:
            raise self.error(f"failure {self.calls}")
        return self.calls


def guarded(failures: int, open_s: float = 60.0) -> Guarded:
    return Guarded("test", failures, open_s, lambda error: isinstance(error, ConnectionError), lambda: OSError("open"))


async def test_retries_end_with_success_or_with_the_last_failure() -> None:
    retried = Retried(3, 0.001, lambda error: isinstance(error, ConnectionError))
    assert await retried("call", Flaky(2)) == 3
    worst = Flaky(9)
    with pytest.raises(ConnectionError, match="failure 3"):
        await retried("call", worst)
    other = Flaky(1, KeyError)
    with pytest.raises(KeyError):
        await retried("call", other)
    assert (worst.calls, other.calls) == (3, 1)


async def test_after_some_failures_in_a_row_the_circuit_is_open() -> None:
    guard, flaky = guarded(2), Flaky(99)
    for _ in range(2):
        with pytest.raises(ConnectionError):
            await guard("call", flaky)
    with pytest.raises(OSError, match="open"):
        await guard("call", flaky)
    with pytest.raises(OSError, match="open"):
        guard.check()
    assert flaky.calls == 2
    assert not guard.closed


async def test_an_open_circuit_closes_with_the_first_success_after_its_time() -> None:
    guard, flaky = guarded(1, open_s=0.05), Flaky(1)
    with pytest.raises(ConnectionError):
        await guard("call", flaky)
    async with asyncio.timeout(5):
        while not guard.closed:
            try:
                assert await guard("call", flaky) == 2
            except OSError:
                await asyncio.sleep(0.01)


async def test_failures_that_are_not_the_other_sides_and_cancelled_calls_do_not_open_it() -> None:
    guard = guarded(1)
    with pytest.raises(KeyError):
        await guard("call", Flaky(1, KeyError))

    async def never() -> int:
        await asyncio.Event().wait()
        return 0

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await guard("call", never)
    assert guard.closed


async def test_a_chain_goes_through_the_outermost_first() -> None:
    flaky = Flaky(1)
    chained = chain(Retried(5, 0.001, lambda error: isinstance(error, ConnectionError)), guarded(1))
    with pytest.raises(OSError, match="open"):
        await chained("call", flaky)
    assert flaky.calls == 1
