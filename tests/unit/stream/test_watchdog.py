"""When a worker counts as standing still."""

from types import SimpleNamespace
from typing import Any

from faust.types import TP
from hypothesis import given
from hypothesis import strategies as st

from app.stream.batches import RecordBatch
from app.stream.contact import contact_of
from app.stream.ledger import Ledger
from app.stream.message import BatchMessage
from app.stream.surroundings import Surroundings
from app.stream.watchdog import Judge, Progress, Watchdog

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


def app_with(**consumer: Any) -> Any:
    """A started app; its loop answers at once."""
    loop = SimpleNamespace(call_soon_threadsafe=lambda function, *_: function())
    found = SimpleNamespace(
        started=True, sources_held=False, is_held=lambda _: False, assignment=set, _committed_offset={}, **consumer
    )
    takeover = SimpleNamespace(pending=frozenset())
    recovery = SimpleNamespace(in_recovery=False)
    tables = SimpleNamespace(recovery=recovery, takeover=takeover, changelog_topics={"changelog"})
    return SimpleNamespace(_consumer=found, consumer=found, consumer_generation_id=3, tables=tables, loop=loop)


def observed(app: object) -> dict[str, tuple[object, int]]:
    found = Watchdog(app, stall_timeout_s=1.0).observe()
    found.pop("event loop", None)
    return found


def test_a_recovery_is_watched_by_what_is_left_of_it() -> None:
    """A recovery that waits for a record that never comes leaves the same number for ever."""
    app = app_with()
    app.tables.recovery = SimpleNamespace(in_recovery=True, active_remaining_total=lambda: 17)
    assert observed(app) == {"recovery": ((3, 17), 17)}
    app.tables.recovery.active_remaining_total = lambda: 0
    assert observed(app) == {"recovery": ((3, 0), 1)}, "nothing left to read, and yet it does not end"


def test_sources_that_are_held_for_ever_are_noticed() -> None:
    """Nothing is read then, so that no offset tells that something waits."""
    app = app_with()
    app.consumer.sources_held, app.consumer.assignment = True, lambda: {TP("t", 0)}
    assert observed(app) == {"sources held": (3, 1)}


def test_an_app_that_has_not_started_has_nothing_waiting() -> None:
    assert observed(SimpleNamespace(_consumer=None)) == {}
    assert observed(SimpleNamespace(_consumer=SimpleNamespace(started=False))) == {}


def test_a_partition_that_stands_still_is_seen_beside_one_that_moves() -> None:
    """Each is judged by itself; changelogs are read at recoveries only."""
    done = {TP("t", 0): 5, TP("t", 1): 5}
    app = app_with(highwater=lambda tp: 10, ledger=SimpleNamespace(committable=done.get))
    app.consumer.assignment = lambda: {*done, TP("changelog", 0)}
    assert observed(app) == {"t[0]": (5, 5), "t[1]": (5, 5)}
    judge = Judge(10.0)
    assert judge.stalled(0.0, observed(app)) == []
    done[TP("t", 0)] = 6
    assert judge.stalled(11.0, observed(app)) == ["t[1]"]


def test_an_agent_that_stands_is_seen_beside_another_of_its_topic() -> None:
    """What two agents read is done when both are: the one that goes on does not hide the other."""
    tp, ledger = TP("t", 0), Ledger()
    app = app_with(highwater=lambda _: 30, ledger=ledger, ack=lambda each: ledger.acknowledge(tp, each.stretch))
    app.consumer.assignment = lambda: {tp}
    ledger.resume(tp, 0)
    messages = [BatchMessage(tp, RecordBatch("t", 0, [], end), 1) for end in (10, 20, 30)]
    for message in messages:
        message.stretch = ledger.deliver(tp, message.batch.next_offset)
        message.incref(2)

    def done_by_an_agent(message: BatchMessage) -> None:
        if message.ack(app.consumer):
            app.consumer.ack(message)

    judge = Judge(10.0)
    for message in messages:
        done_by_an_agent(message)
    done_by_an_agent(messages[0])
    assert observed(app) == {"t[0]": (10, 20)}
    assert judge.stalled(0.0, observed(app)) == []
    assert judge.stalled(11.0, observed(app)) == ["t[0]"], "one has read everything, the other stands at 10"
    done_by_an_agent(messages[1])
    assert judge.stalled(12.0, observed(app)) == []


def test_a_takeover_that_stands_still_is_seen_beside_partitions_that_go_on() -> None:
    """Its sources are held, so that no offset of theirs tells of it."""
    done = {TP("t", 0): 5, TP("t", 1): 5}
    app = app_with(highwater=lambda tp: 10, ledger=SimpleNamespace(committable=done.get))
    app.consumer.assignment = lambda: set(done)
    app.consumer.is_held = lambda tp: tp.partition == 1
    app.tables.takeover = SimpleNamespace(pending=frozenset({1}), read=lambda _: 42)
    judge = Judge(10.0)
    assert judge.stalled(0.0, observed(app)) == []
    done[TP("t", 0)] = 6
    assert judge.stalled(11.0, observed(app)) == ["takeover of partition 1"]


def test_an_event_loop_that_does_not_turn_is_noticed() -> None:
    """Something that never returns holds up all else, whatever offsets say."""
    app = app_with()
    app.loop.call_soon_threadsafe = lambda *_: None
    watchdog, judge = Watchdog(app, stall_timeout_s=1.0), Judge(10.0)
    assert judge.stalled(0.0, watchdog.observe()) == []
    assert judge.stalled(11.0, watchdog.observe()) == ["event loop"]


def test_a_worker_whose_brokers_are_away_is_not_ended_and_one_that_hangs_afterwards_is() -> None:
    """What stands still while brokers are away has its time anew once they answer; the event loop has none to wait."""
    clock = SimpleNamespace(now_s=0.0)
    clock.monotonic_s = lambda: clock.now_s
    app = app_with(highwater=lambda tp: 10, ledger=SimpleNamespace(committable=lambda tp: 5))
    app.consumer.assignment = lambda: {TP("t", 0)}
    app.should_stop, app.surroundings = False, Surroundings(clock=clock)
    app.tables.values = list
    watchdog = Watchdog(app, stall_timeout_s=10.0)
    ended: list[str] = []
    watchdog._end = ended.append  # type: ignore[method-assign, assignment]
    for _ in range(100):
        clock.now_s += 4.0
        contact_of(app).failed("broker 1 is away")
        watchdog.look()
    assert not ended
    clock.now_s += 6.0
    watchdog.look()
    assert not ended, "they answer again: its time begins"
    clock.now_s += 10.0
    watchdog.look()
    assert [text.partition(":")[0] for text in ended] == ["t[0]"]

    ended.clear()
    app.loop.call_soon_threadsafe = lambda *_: None
    for _ in range(4):
        clock.now_s += 4.0
        contact_of(app).failed("broker 1 is away")
        watchdog.look()
    assert ended
    assert all(text.startswith("event loop") for text in ended)


def test_a_loop_that_turns_is_none() -> None:
    watchdog, judge = Watchdog(app_with(), stall_timeout_s=1.0), Judge(10.0)
    assert [judge.stalled(now_s, watchdog.observe()) for now_s in (0.0, 11.0, 22.0)] == [[], [], []]
