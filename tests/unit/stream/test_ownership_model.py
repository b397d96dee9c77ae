"""All orders of events of a small model: the fenced protocol counts each record once, the judged one did not."""

import pytest

from tests.unit.stream.ownership_model import FENCED, JUDGED, Limits, search

#: The counter-examples, each with the least that leads to it; the judged protocol has none with less.
COUNTER_EXAMPLES = {
    "a late flush makes the new owner's first one void, and its second one counts": (
        Limits(folds=(1, 2)),
        Limits(folds=(1, 1)),
    ),
    "the second of a zombie's flushes goes on where its first one ended": (Limits(folds=(2, 1)), Limits(folds=(1, 1))),
    "a header that told of a new source is compacted away": (
        Limits(takes=2, folds=(4, 0), remakes=1, compactions=1),
        Limits(takes=2, folds=(4, 0), remakes=1),
    ),
    "compaction keeps a zombie's row and takes the rightful one": (
        Limits(folds=(1, 2), compactions=1, under_way=1),
        Limits(folds=(1, 2), under_way=1),
    ),
}


@pytest.mark.parametrize(("limits", "less"), COUNTER_EXAMPLES.values(), ids=COUNTER_EXAMPLES)
def test_the_judged_protocol_loses_records(limits: Limits, less: Limits) -> None:
    """The model is not blind: what was seen on real brokers it finds, and nothing where there is nothing to find."""
    trace, _ = search(JUDGED, limits)
    assert trace is not None
    assert search(JUDGED, less)[0] is None


@pytest.mark.parametrize("limits", [limits for limits, _ in COUNTER_EXAMPLES.values()], ids=COUNTER_EXAMPLES)
def test_the_fenced_protocol_does_not(limits: Limits) -> None:
    """In the same worlds."""
    assert search(FENCED, limits)[0] is None


@pytest.mark.parametrize(
    ("limits", "worlds"),
    [
        (Limits(takes=3, folds=(2, 3), compactions=1, under_way=3), 4000),
        (Limits(folds=(2, 2), compactions=1, remakes=1), 800),
    ],
    ids=["partitions go to and fro", "a source is made anew"],
)
def test_no_order_of_events_makes_rows_and_covers_disagree(limits: Limits, worlds: int) -> None:
    """Exhaustive within the limits; the number of worlds shows that they were tried."""
    trace, tried = search(FENCED, limits)
    assert trace is None, trace
    assert tried > worlds
