"""When a worker counts as standing still."""

from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from app.stream.watchdog import Progress, Watchdog

observations = st.lists(
    st.tuples(st.floats(0.1, 30.0), st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=30
)  # seconds since the one before, position, how much is waiting


@given(observations)
def test_stalled_is_waiting_without_moving_for_the_whole_time(found: list[tuple[float, int, int]]) -> None:
    """Against the definition: the longest stretch up to now in which all was waiting and nothing moved."""
    progress = Progress(stall_timeout_s=20.0)
    seen: list[tuple[float, int, int]] = []
    now_s = 100.0
    for pause_s, position, waiting in found:
        now_s += pause_s
        seen.append((now_s, position, waiting))
        start = len(seen) - 1
        while start > 0 and seen[start][2] > 0 and seen[start - 1][1] == position:
            start -= 1
        expected_s = now_s - seen[start][0] if waiting > 0 else 0.0
        assert progress.is_stalled(now_s, position, waiting) == (expected_s >= 20.0)


def observed(app: object) -> tuple[int, object]:
    return Watchdog(app, stall_timeout_s=1.0)._observe()


def test_a_recovery_is_watched_by_what_is_left_of_it() -> None:
    """A recovery that waits for a record that never comes leaves the same number for ever."""
    recovery = SimpleNamespace(in_recovery=True, active_remaining_total=lambda: 17)
    consumer = SimpleNamespace(started=True)
    app = SimpleNamespace(_consumer=consumer, consumer_generation_id=3, tables=SimpleNamespace(recovery=recovery))
    assert observed(app) == (17, ("recovery", 3, 17))
    recovery.active_remaining_total = lambda: 0
    assert observed(app) == (1, ("recovery", 3, 0)), "nothing left to read, and yet it does not end"


def test_sources_that_are_held_for_ever_are_noticed() -> None:
    """Nothing is read then, so that no offset tells that something waits."""
    consumer = SimpleNamespace(started=True, sources_held=True, assignment=lambda: {("t", 0)})
    tables = SimpleNamespace(recovery=SimpleNamespace(in_recovery=False))
    app = SimpleNamespace(_consumer=consumer, consumer=consumer, consumer_generation_id=3, tables=tables)
    assert observed(app) == (1, ("sources held", 3))


def test_an_app_that_has_not_started_has_nothing_waiting() -> None:
    assert observed(SimpleNamespace(_consumer=None)) == (0, None)
    assert observed(SimpleNamespace(_consumer=SimpleNamespace(started=False))) == (0, None)
