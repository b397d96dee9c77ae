"""Files of events are read whole, in event-time order, whatever stands in them."""

import gzip
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from app.kafka.topics import DEAD_LETTERS
from producers.tape_file import NextDay, event_ms_of, read_line, reference_events
from producers.tape_order import Tape


@pytest.mark.parametrize(
    ("value", "event_ms"),
    [
        ('{"ev":"A","sym":"A","s":1000,"e":2000}', 2000),
        ('{"ev":"T","sym":"A","s":1.5,"t":1536036818784}', 1536036818784),
        ('{"ev":"T","sym":"A","s":100}', 0),
        ('{"ev":"LULD","T":"A","t":1601316752683746}', 1601316752683),
        ('{"ev":"NOI","T":"A","t":1601318039223013600}', 1601318039223),
        ('{"ev":"Q","sym":"A","t":1.536036818784e12}', 1536036818784),
        ("[]", 0),
    ],
)
def test_an_event_happened_when_it_says(value: str, event_ms: int) -> None:
    """An aggregate at its end, others at their time; the unit is told by magnitude."""
    assert event_ms_of(value.encode()) == event_ms


@given(st.lists(st.integers(1, 50), max_size=60), st.integers(1, 70))
def test_equal_times_keep_the_files_order(
    tmp_path_factory: pytest.TempPathFactory, times: list[int], run_events: int
) -> None:
    """The sort is stable, whatever the file's ending and however many runs it takes."""
    lines = [json.dumps({"ev": "T", "sym": "A", "t": stamp, "q": place}) for place, stamp in enumerate(times)]
    text = "\n".join(lines).encode()
    folder = tmp_path_factory.mktemp("tape")
    (folder / "a.ndjson").write_bytes(text)
    (folder / "a.ndjson.gz").write_bytes(gzip.compress(text))
    (folder / "a.ndjson.zst").write_bytes(zstandard.compress(text))
    wanted = [line.encode() for _, line in sorted(zip(times, lines, strict=True), key=lambda pair: pair[0])]
    for name in ("a.ndjson", "a.ndjson.gz", "a.ndjson.zst"):
        with Tape(folder / name, run_events) as tape:
            assert [event.routed.value for event in tape] == wanted
            assert tape.count == len(wanted)


def test_a_bad_line_is_a_dead_letter_with_its_number_and_reason() -> None:
    """So that it can be found in the file."""
    found = read_line(7, b'{"ev":"T","p":1}', "day.ndjson")
    assert found is not None
    assert json.loads(found.routed.value) == {
        "topic": "day.ndjson",
        "partition": -1,
        "offset": 7,
        "reason": "line 7: the event of type T has no symbol",
        "value": '{"ev":"T","p":1}',
    }


@pytest.mark.parametrize(
    "line", [b"{", b"1", b"[]", b'"x"', b"\xff", b'{"value_base64":"%"}', b'{"topic":"massive.reference","value":{}}']
)
def test_no_line_stops_the_reading(line: bytes) -> None:
    """It goes to the dead letters."""
    found = read_line(1, line, "f")
    assert found is not None
    assert found.routed.topic == "market.dead-letters"


@pytest.mark.parametrize(
    ("name", "compress"), [("cut.ndjson.gz", gzip.compress), ("cut.ndjson.zst", zstandard.compress)]
)
def test_a_file_that_was_cut_off_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, compress: Callable[[bytes], bytes]
) -> None:
    """And nothing of it is played, nor left behind."""
    whole = compress(b"".join(b'{"ev":"T","sym":"A","t":%d}\n' % n for n in range(50_000)))
    (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(OSError, match=rf"{name} is damaged after line \d+"):
        Tape(tmp_path / name, 100).__enter__()
    assert not list(tmp_path.glob("tapereader-replay-*"))


def test_a_file_of_several_frames_is_read_to_its_end(tmp_path: Path) -> None:
    """As they come from files that were put together; an empty frame among them."""
    lines = [b'{"ev":"T","sym":"A","t":%d}\n' % (n + 1) for n in range(3)]
    frames = [zstandard.compress(part) for part in (lines[0], b"", lines[1] + lines[2])]
    (tmp_path / "a.zst").write_bytes(b"".join(frames))
    with Tape(tmp_path / "a.zst") as tape:
        assert [event.routed.value for event in tape] == [line.strip() for line in lines]


def test_reference_holds_for_the_trading_day_after_the_files(tmp_path: Path) -> None:
    """Over weekends and holidays too."""
    path = tmp_path / "reference.json"
    path.write_text(
        json.dumps({"A": {"day": "20131008", "c": 1.5}, "B": {"day": "2013-11-27", "c": 2, "free_float": 9}})
    )
    records = [json.loads(event.value) for event in reference_events(path, NextDay())]
    assert records == [
        {"symbol": "A", "day": "2013-10-09", "previous_day": {"c": 1.5}},
        {"symbol": "B", "day": "2013-11-29", "previous_day": {"c": 2}, "free_float": 9},
    ]


def test_a_line_that_is_nested_thousands_deep_is_one_dead_letter() -> None:
    event = b'{"ev":"T","sym":"AAPL","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    found = read_line(7, event, "day.jsonl")
    assert found is not None
    assert found.routed.topic == DEAD_LETTERS.name
    assert event_ms_of(event) == 0
