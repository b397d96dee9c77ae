"""The layer in a process: bounded, for a short time, kept for an outage."""

from app.reference.memory import Entry, Memory
from app.reference.records import Answer, Layer, State


def entry(value: float, until_s: float) -> Entry:
    return Entry(Answer(value, State.FRESH, Layer.MEMORY), until_s, 0.0)


def test_the_one_not_used_for_longest_goes() -> None:
    memory = Memory(2)
    memory.put("a", entry(1, 10))
    memory.put("b", entry(2, 10))
    assert memory.get("a", 0) is not None
    memory.put("c", entry(3, 10))
    assert (memory.get("b", 0), len(memory)) == (None, 2)
    assert memory.get("a", 0) is not None


def test_an_entry_past_its_time_is_not_served_but_is_there_for_an_outage() -> None:
    memory = Memory(2)
    memory.put("a", entry(1, 10))
    assert memory.get("a", 9.9) is not None
    assert memory.get("a", 10.0) is None
    assert memory.last("a") is not None


def test_missed_news_end_all_and_an_invalidation_removes() -> None:
    memory = Memory(2)
    memory.put("a", entry(1, 10))
    memory.expire_all()
    assert memory.get("a", 0) is None
    assert memory.last("a") is not None
    memory.invalidate("a")
    assert memory.last("a") is None


def test_a_limit_of_zero_keeps_nothing() -> None:
    memory = Memory(0)
    memory.put("a", entry(1, 10))
    assert len(memory) == 0
