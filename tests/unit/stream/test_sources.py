"""What a state covers of a source is told of another topic, a shorter one, or one that only lost its beginning."""

import pytest
from faust.types import TP
from structlog.testing import capture_logs

from app.stream.partition import PartitionState
from app.stream.sources import check_sources

SOURCE, COVERED = TP("source", 3), 100


def checked(known: str | None, found: str | None, end: int | None) -> tuple[int, dict[str, str], list[str]]:
    """What is covered, and which id is known, after a look; and what was said."""
    state = PartitionState[int](SOURCE.partition)
    state.covered = {SOURCE.topic: COVERED}
    state.ids = {} if known is None else {SOURCE.topic: known}
    ends = {} if end is None else {SOURCE: end}
    with capture_logs() as logs:
        check_sources(state, [SOURCE.topic], ends, {} if found is None else {SOURCE.topic: found})
    return state.covered[SOURCE.topic], state.ids, [line["event"] for line in logs]


@pytest.mark.parametrize("end", [0, 40, COVERED, 10**6, None])
def test_a_source_made_anew_begins_at_0_however_long_it_is_by_now(end: int | None) -> None:
    assert checked("old", "new", end) == (0, {"source": "new"}, ["source_made_anew"])


@pytest.mark.parametrize("end", [0, 40, COVERED - 1])
def test_a_source_that_was_cut_short_goes_on_at_its_end(end: int) -> None:
    """It is the same topic, which lost what it had acknowledged: what was counted stays."""
    assert checked("same", "same", end) == (end, {"source": "same"}, ["source_cut_short"])


@pytest.mark.parametrize("end", [COVERED, COVERED + 1, 10**6, None])
@pytest.mark.parametrize(("known", "found"), [("same", "same"), (None, "first"), (None, None), ("same", None)])
def test_a_source_that_goes_on_is_no_matter(known: str | None, found: str | None, end: int | None) -> None:
    """Retention and compaction take records before what is covered: its end does not move by them."""
    covered, ids, said = checked(known, found, end)

    assert (covered, said) == (COVERED, [])
    assert ids == ({} if (found or known) is None else {"source": found or known})


@pytest.mark.parametrize(("known", "found"), [(None, "first"), (None, None), ("same", None)])
def test_where_ids_are_not_known_a_shorter_source_is_one_made_anew(known: str | None, found: str | None) -> None:
    """A state of before ids were kept, or brokers that tell none."""
    assert checked(known, found, COVERED - 1)[::2] == (0, ["source_made_anew"])
