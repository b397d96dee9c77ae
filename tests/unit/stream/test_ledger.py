"""Commits follow what was processed, whatever the order in which it was."""

from faust.types import TP
from hypothesis import given
from hypothesis import strategies as st

from app.stream.ledger import Ledger

TP0 = TP("source", 0)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=20), st.randoms(use_true_random=False))
def test_committable_is_the_end_of_the_processed_prefix(lengths: list[int], random: object) -> None:
    """In any order of acknowledgement, gaps or not, the committable offset is the naive one."""
    ledger, ends, position = Ledger(), [], 100
    stretches = []
    for length in lengths:
        position += length
        ends.append(position)
        stretches.append(ledger.deliver(TP0, position))
    order = list(range(len(lengths)))
    random.shuffle(order)  # type: ignore[attr-defined]
    done: set[int] = set()
    for index in order:
        ledger.acknowledge(TP0, stretches[index])
        done.add(index)
        prefix = next((i for i in range(len(ends)) if i not in done), len(ends))

        assert ledger.committable(TP0) == (ends[prefix - 1] if prefix else None)


def test_the_last_batch_is_committed_to_its_end_without_another_one() -> None:
    """An idle partition's committed offset reaches its end."""
    ledger = Ledger()
    ledger.acknowledge(TP0, ledger.deliver(TP0, 7))

    assert ledger.committable(TP0) == 7
    assert list(ledger) == [TP0]


def test_a_forgotten_partition_ignores_late_acknowledgements() -> None:
    """What a flush of before a rebalance acknowledges is not committed after it."""
    ledger = Ledger()
    stretch = ledger.deliver(TP0, 7)
    ledger.forget(TP0)
    ledger.deliver(TP0, 3)
    ledger.acknowledge(TP0, stretch)

    assert ledger.committable(TP0) is None


def test_a_stretch_is_acknowledged_by_where_it_ends_too() -> None:
    """As the compiled stream of Faust does it, in whatever order."""
    ledger = Ledger()
    for end in (3, 7, 9):
        ledger.deliver(TP0, end)
    ledger.acknowledge_end(TP0, 7)
    ledger.acknowledge_end(TP0, 100)

    assert ledger.committable(TP0) is None

    ledger.acknowledge_end(TP0, 3)

    assert ledger.committable(TP0) == 7


def test_what_a_partition_resumes_behind_is_committable_without_a_record() -> None:
    ledger = Ledger()
    ledger.deliver(TP0, 5)

    ledger.resume(TP0, 9)

    assert list(ledger) == [TP0]
    assert ledger.committable(TP0) == 9
    ledger.acknowledge_end(TP0, 5)
    assert ledger.committable(TP0) == 9, "what was delivered before is forgotten"
