"""What the buffer keeps when it is full."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from producers.buffer import EventBuffer
from producers.routing import Routed

STEPS = st.lists(st.one_of(st.sampled_from(["A", "T", "Q", "LULD"]), st.integers(1, 5)), max_size=200)


def event(event_type: str, number: int) -> Routed:
    return Routed("topic", b"S", b"%d" % number, event_type)


def test_the_oldest_quotes_give_way_and_are_counted() -> None:
    """The newest quotes and all else stay, in order."""
    buffer = EventBuffer(3)
    for number, event_type in enumerate(["Q", "T", "Q", "Q", "A"]):
        buffer.add(event(event_type, number), number)
    assert [(found.event_type, stamp) for found, stamp in buffer.take(10)] == [("T", 1), ("A", 4), ("Q", 3)]
    assert buffer.dropped == {"Q": 2}


def test_a_buffer_full_of_what_must_stay_says_so_and_drops_only_new_quotes() -> None:
    """It takes a trade nevertheless: the reader stops after the frame."""
    buffer = EventBuffer(2)
    for number in range(2):
        buffer.add(event("T", number), 0)
    assert buffer.is_full
    buffer.add(event("Q", 2), 0)
    buffer.add(event("LULD", 3), 0)
    assert [found.event_type for found, _ in buffer.take(10)] == ["T", "T", "LULD"]
    assert buffer.dropped == {"Q": 1}
    assert not buffer.is_full


@given(STEPS, st.integers(1, 8))
def test_nothing_but_quotes_is_lost_and_each_loss_is_counted(steps: list[str | int], capacity: int) -> None:
    """Whatever comes and goes: order within a kind holds, and memory is bounded by what must stay."""
    buffer, given_events, taken = EventBuffer(capacity), [], []
    for number, step in enumerate(steps):
        if isinstance(step, int):
            before = len(buffer)
            got = buffer.take(step)
            assert len(got) == min(step, before)
            taken += got
        else:
            given_events.append((event(step, number), number))
            buffer.add(*given_events[-1])
            must_stay = sum(1 for found, _ in given_events if found.event_type != "Q")
            assert len(buffer) <= max(capacity, must_stay)
    taken += buffer.take(len(steps))
    assert len(buffer) == 0
    for quotes in (False, True):
        stamps = [stamp for found, stamp in taken if (found.event_type == "Q") is quotes]
        assert stamps == sorted(stamps)
    lost = Counter(found.event_type for found, _ in given_events) - Counter(found.event_type for found, _ in taken)
    assert lost == buffer.dropped
    assert set(lost) <= {"Q"}
