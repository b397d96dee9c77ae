"""What a library repeats is logged once a minute, with a count."""

import logging

import pytest

from app import clock
from app.observability import repeats
from app.observability.repeats import Repeats


def record(text: str, *args: object, level: int = logging.ERROR, name: str = "aiokafka") -> logging.LogRecord:
    """A line of a library's."""
    return logging.LogRecord(name, level, __file__, 1, text, args, None)


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The clock, as its one element."""
    now = [1000.0]
    monkeypatch.setattr(clock, "monotonic_s", lambda: now[0])
    return now


def test_the_same_error_is_logged_once_a_minute_with_the_number_of_those_left_out(now: list[float]) -> None:
    found = Repeats()
    logged = []
    for _ in range(600):
        line = record("Unable connect to node with id %s", 1)
        if found.filter(line):
            logged.append(line.getMessage())
        now[0] += 0.25
    first = "Unable connect to node with id 1"
    assert logged == [first, *[f"{first} (239 more like it since it was logged last)"] * 2]


def test_numbers_in_a_finished_text_make_no_difference_and_anything_else_does(now: list[float]) -> None:
    found = Repeats()
    assert found.filter(record("node 1 is away after 20 ms"))
    assert not found.filter(record("node 2 is away after 31 ms"))
    assert found.filter(record("node 1 is back"))
    assert found.filter(record("node 1 is away after 20 ms", level=logging.WARNING))
    assert found.filter(record("node 1 is away after 20 ms", name="faust"))


def test_what_is_no_warning_always_passes(now: list[float]) -> None:
    found = Repeats()
    assert all(found.filter(record("read", level=logging.INFO)) for _ in range(3))


def test_what_is_remembered_is_bounded(now: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeats, "MOST_REMEMBERED", 10)
    found = Repeats()
    for number in range(100):
        assert found.filter(record("x" * number))
    assert len(found._known) <= 10
