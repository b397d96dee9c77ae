"""Hand-overs from several partitions, in a log with losses, repetitions and senders that are no longer the owner."""

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from app.market.handover import SILENT_NS, HandingOver, HandOver, Merged, MergePlace

KEYS = "ABCDE"
states = st.dictionaries(st.sampled_from(KEYS), st.integers(0, 2), max_size=5)


def applied(before: dict[str, int], changes: Mapping[str, int | None]) -> dict[str, int]:
    after = {**before, **changes}
    return {key: item for key, item in after.items() if item is not None}


@given(st.lists(st.tuples(st.integers(0, 2), states, st.booleans()), max_size=30))
def test_the_merge_has_what_each_partition_had_at_its_last_hand_over(
    course: list[tuple[int, dict[str, int], bool]],
) -> None:
    senders = [HandingOver[int](partition) for partition in range(3)]
    merged, followed = Merged[int](3), dict[str, int]()
    latest: dict[int, dict[str, int]] = {}
    for step, (partition, state, anew) in enumerate(course):
        items = {f"{partition}{key}": item for key, item in state.items()}
        if anew:
            senders[partition].begin_anew()
        before = latest.get(partition)
        found = senders[partition].take(items, 1, step)
        latest[partition] = items
        if found is None:
            assert before == items
            assert not anew
            continue
        if before is not None and not anew:
            assert found.items.keys() == {key for key in before | items if before.get(key) != items.get(key)}
        followed = applied(followed, merged.take(found))
        assert merged.items() == followed == {key: item for each in latest.values() for key, item in each.items()}
        assert merged.heard == latest.keys()
        assert merged.complete == (len(latest) == 3)


@given(st.lists(st.tuples(states, st.booleans(), st.sampled_from(["kept", "lost", "twice"])), max_size=30))
def test_after_a_loss_a_partition_stands_still_until_it_begins_anew(
    course: list[tuple[dict[str, int], bool, str]],
) -> None:
    sender, merged = HandingOver[int](0), Merged[int](1)
    expected: dict[str, int] = {}
    followed: dict[str, int] = {}
    known = False
    for step, (state, anew, fate) in enumerate(course):
        if anew:
            sender.begin_anew()
        found = sender.take(state, 1, step)
        if found is None:
            continue
        if fate == "lost":
            known = False
            continue
        if found.whole:
            known = True
        if known:
            expected = state
        for _ in range(2 if fate == "twice" else 1):
            followed = applied(followed, merged.take(found))
        assert merged.items() == followed == expected
        # What never began is not lost but unheard of.
        assert (0 in merged.lost) == (not known and merged.complete)


def test_a_sender_that_lost_its_partition_changes_nothing() -> None:
    merged = Merged[int](1)
    old, new = HandingOver[int](0), HandingOver[int](0)
    begun = old.take({"A": 1}, 4, 0)
    late = old.take({"A": 2}, 4, 1)
    old.begin_anew()
    late_whole = old.take({"A": 3}, 4, 2)
    taken_over = new.take({"A": 10}, 5, 1)
    followed = new.take({"A": 11}, 5, 3)
    for found in (begun, taken_over, late, late_whole, followed):
        assert found is not None
        merged.take(found)
    assert merged.items() == {"A": 11}
    assert not merged.lost


def test_a_group_whose_generations_began_again_counts_once_the_old_one_is_silent() -> None:
    merged = Merged[int](1)
    merged.take(HandOver(0, 57, 0, True, 0, {"A": 1}))
    assert merged.take(HandOver(0, 1, 0, True, SILENT_NS - 1, {"A": 2})) == {}
    assert merged.take(HandOver(0, 1, 0, True, SILENT_NS, {"A": 2})) == {"A": 2}
    assert merged.take(HandOver(0, 1, 1, False, SILENT_NS + 1, {"A": 3})) == {"A": 3}


def test_what_begins_anew_without_a_change_changes_nothing() -> None:
    merged = Merged[int](1)
    assert merged.take(HandOver(0, 1, 0, True, 0, {"A": 1, "B": 2})) == {"A": 1, "B": 2}
    assert merged.take(HandOver(0, 1, 0, True, 1, {"A": 1, "B": 2})) == {}
    assert merged.take(HandOver(0, 1, 0, True, 2, {"A": 1})) == {"B": None}


@given(
    st.lists(st.tuples(st.sampled_from(["taken", "lost", "whole"]), st.integers(0, 2), st.floats(0, 12)), max_size=30)
)
def test_a_merge_is_published_where_its_place_is_once_all_were_heard_of_or_waited_for(
    course: list[tuple[str, int, float]],
) -> None:
    """Against the course since the place was taken last, read anew at each step. Two partitions, waited for 10 s."""
    place = MergePlace(1, lambda: Merged[int](2), 10.0)
    now_s, number = 0.0, 0
    since: list[int] | None = None
    #: What came since the place was lost, for when it comes.
    early: list[int] = []
    began_s, before = 0.0, None
    for what, partition, passed_s in course:
        now_s += passed_s
        if what == "taken":
            place.taken(partition, now_s)
            if partition == 1:
                since, early, began_s = early, [], now_s
                # What was known has grown old, whoever had the place meanwhile.
                assert place.merge is not before
                before = place.merge
                assert before is not None
                assert before.items().keys() == {f"{each}" for each in since}
        elif what == "lost":
            place.lost(partition)
            since, early = (None, []) if partition == 1 else (since, early)
        elif partition < 2:
            number += 1
            found = HandOver(partition, 1, number, True, 0, {f"{partition}": number})
            place.take(0, found)  # Another partition of the log: another place's.
            place.take(1, found)
            (early if since is None else since).append(partition)
        heard = set(since or ())
        may = since is not None and (heard == {0, 1} or now_s - began_s >= 10.0)
        assert (place.merge is None) == (since is None)
        assert place.publishable(now_s) is (place.merge if may else None)
