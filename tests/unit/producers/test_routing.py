"""Where events of a frame go, without a change to their bytes."""

import base64
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.kafka.topics import DEAD_LETTERS
from producers.routing import DEAD_LETTER_BYTES, Routed, Status, dead_letter, route_event, route_frame

SYMBOLS = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ.", min_size=1, max_size=6)


@pytest.mark.parametrize(
    ("event", "topic", "key"),
    [
        ('{"ev":"A","sym":"AAPL","v":1}', "massive.aggregates", b"AAPL"),
        ('{"ev":"AM","sym":"AAPL","v":1}', "massive.aggregates", b"AAPL"),
        ('{"ev":"T","sym":"BRK.A","p":1.50}', "massive.trades", b"BRK.A"),
        ('{"ev":"Q","sym":"SPY"}', "massive.quotes", b"SPY"),
        ('{"ev":"LULD","T":"MSFT","h":218.96,"t":1601316752683746}', "massive.halts", b"MSFT"),
        ('{"ev":"NOI","T":"NTEST.Q"}', "massive.unknown", b"NTEST.Q"),
        ('{"ev":"XYZ","sym":"AAPL"}', "massive.unknown", b"AAPL"),
    ],
)
def test_an_event_goes_to_the_topic_of_its_type_under_its_symbol(event: str, topic: str, key: bytes) -> None:
    """Its value is what came, to the byte."""
    assert route_event(event.encode()) == Routed(topic, key, event.encode(), json.loads(event)["ev"])


@given(st.lists(st.tuples(st.sampled_from(["A", "T", "Q", "NOI"]), SYMBOLS, st.floats(0, 1e6), st.text()), max_size=30))
def test_a_frame_is_its_events_in_order_byte_for_byte(rows: list[tuple[str, str, float, str]]) -> None:
    """Whatever stands in the fields that routing does not read, and however it is spaced."""
    events = [json.dumps({"ev": ev, "sym": sym, "p": p, "x": text}) for ev, sym, p, text in rows]
    routed = list(route_frame(("[" + " ,\n".join(events) + "]").encode()))
    assert [event.value for event in routed if isinstance(event, Routed)] == [event.encode() for event in events]


def test_a_status_is_handled_and_the_events_beside_it_are_produced() -> None:
    """One frame may hold both."""
    frame = b'[{"ev":"status","status":"success","message":"subscribed to: T.*"},{"ev":"T","sym":"A"}]'
    assert list(route_frame(frame)) == [
        Status("success", "subscribed to: T.*"),
        Routed("massive.trades", b"A", b'{"ev":"T","sym":"A"}', "T"),
    ]


@pytest.mark.parametrize("frame", [b"not json", b'{"ev":"T","sym":"A"}', b'[{"ev":"T","sym":"A"', b"", b"\xff\xfe"])
def test_a_frame_that_is_no_array_is_one_dead_letter_with_its_bytes(frame: bytes) -> None:
    """Nothing of it is guessed at."""
    (letter,) = route_frame(frame)
    assert isinstance(letter, Routed)
    assert letter.topic == "market.dead-letters"
    found = json.loads(letter.value)
    assert "not a JSON array" in found["reason"]
    kept = base64.b64decode(found["value_base64"]) if "value_base64" in found else found["value"].encode()
    assert kept == frame


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ('{"ev":"T","p":1}', "no symbol"),
        ('{"ev":"T","sym":""}', "no symbol"),
        ('{"sym":"A"}', "no type"),
        ('{"ev":"T","sym":7}', "not an event"),
        ("1", "not an event"),
        ("null", "not an event"),
    ],
)
def test_a_bad_event_is_a_dead_letter_and_its_neighbours_are_not(bad: str, reason: str) -> None:
    """The rest of the frame is produced, in order."""
    good = '{"ev":"T","sym":"A","p":1}'
    first, letter, last = route_frame(f"[{good},{bad},{good}]".encode())
    assert first == last == Routed("massive.trades", b"A", good.encode(), "T")
    assert isinstance(letter, Routed)
    assert reason in json.loads(letter.value)["reason"]


@given(st.binary(max_size=200))
def test_no_bytes_stop_the_routing(frame: bytes) -> None:
    """Any frame gives records or statuses, and no error."""
    assert all(isinstance(event, Routed | Status) for event in route_frame(frame))
    assert all(isinstance(event, Routed | Status) for event in route_frame(b"[" + frame + b"]"))


def test_what_is_too_large_for_a_dead_letter_is_cut_and_says_so() -> None:
    """A record of the dead letters stays far below what its topic takes."""
    letter = dead_letter(b"x" * (DEAD_LETTER_BYTES + 5), "bad")
    assert len(letter.value) < DEAD_LETTER_BYTES + 1000
    assert f"of {DEAD_LETTER_BYTES + 5} bytes" in msgspec.json.decode(letter.value)["reason"]


@pytest.mark.parametrize("depth", [2_000, 100_000])
def test_json_that_is_nested_thousands_deep_is_one_dead_letter(depth: int) -> None:
    event = b'{"ev":"T","sym":"AAPL","x":' + b"[" * depth + b"]" * depth + b"}"
    (of_frame,) = route_frame(b"[" + event + b"]")
    for found in (of_frame, route_event(event)):
        assert isinstance(found, Routed)
        assert found.topic == DEAD_LETTERS.name
        assert "recursion" in msgspec.json.decode(found.value)["reason"]
