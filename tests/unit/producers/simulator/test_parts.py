"""The simulator's parts without a socket: clock, subscriptions, frames, faults, start."""

from datetime import datetime
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import SettingsError
from app.market.calendar import NEW_YORK, TradingCalendar
from producers.simulator.activity import DayShape
from producers.simulator.answers import Answers
from producers.simulator.clock import VirtualClock
from producers.simulator.faults import FaultRequest, Faults
from producers.simulator.feed import MAX_FRAME_BYTES, Feed, frames_of
from producers.simulator.kept_time import KeptTime, start_after
from producers.simulator.market import MarketModel
from producers.simulator.second import Encoded
from producers.simulator.server import start_of
from producers.simulator.subscriptions import Subscriptions, is_channel


class Wall:
    """An interval clock that a test moves."""

    def __init__(self) -> None:
        self.at_s = 100.0

    def __call__(self) -> float:
        return self.at_s


def test_market_time_runs_at_its_speed() -> None:
    wall = Wall()
    market = VirtualClock(1_000_000, 60.0, wall)
    wall.at_s += 2
    assert market.now_ms() == 1_120_000


def test_market_time_stands_still_while_paused() -> None:
    wall = Wall()
    market = VirtualClock(0, 2.0, wall)
    wall.at_s += 1
    market.pause()
    market.pause()
    wall.at_s += 50
    assert market.paused
    assert market.now_ms() == 2000
    market.resume()
    wall.at_s += 1
    assert market.now_ms() == 4000


def test_market_time_jumps_to_where_it_is_set() -> None:
    wall = Wall()
    market = VirtualClock(0, 1.0, wall)
    wall.at_s += 5
    market.jump(50_000)
    assert market.now_ms() == 50_000


def test_a_speed_of_nought_is_refused() -> None:
    with pytest.raises(ValueError, match="speed above 0"):
        VirtualClock(0, 0.0)


@given(st.lists(st.binary(min_size=1, max_size=40).map(lambda raw: msgspec.json.encode(raw.hex())), max_size=9000))
def test_frames_hold_every_event_once_and_in_order(events: list[bytes]) -> None:
    frames = frames_of(events)
    assert [event for frame, _ in frames for event in msgspec.json.decode(frame)] == [
        msgspec.json.decode(event) for event in events
    ]
    assert sum(count for _, count in frames) == len(events)


def test_frames_stay_below_the_limit_of_the_vendors_sdk() -> None:
    events = [msgspec.json.encode("x" * 100_000) for _ in range(30)]
    frames = frames_of(events)
    assert len(frames) > 1
    assert max(len(frame) for frame, _ in frames) <= MAX_FRAME_BYTES


TAPE = Encoded(np.arange(4), ["T", "Q", "T", "A"], [0, 0, 1, 1], [b'{"n":0}', b'{"n":1}', b'{"n":2}', b'{"n":3}'])
SLOTS = {"AAPL": 0, "MSFT": 1}


@pytest.mark.parametrize(
    ("channels", "expected"),
    [
        pytest.param(["T.*"], [0, 2], id="wildcard"),
        pytest.param(["T.AAPL"], [0], id="symbol"),
        pytest.param(["T.AAPL", "A.*"], [0, 3], id="both"),
        pytest.param(["T.*", "T.AAPL"], [0, 2], id="a wildcard and one of its symbols give no event twice"),
        pytest.param(["Q.MSFT"], [], id="nothing"),
        pytest.param(["T.NOBODY"], [], id="unknown symbol"),
        pytest.param(["AM.*"], [], id="AM is not A"),
    ],
)
def test_subscriptions_choose_their_events(channels: list[str], expected: list[int]) -> None:
    wanted = Subscriptions()
    assert all(wanted.add(channel) for channel in channels)
    assert wanted.choose(TAPE, 0, 4, SLOTS) == expected


@given(st.lists(st.tuples(st.booleans(), st.sampled_from(["T.*", "T.AAPL", "T.MSFT", "Q.*", "A.AAPL"])), max_size=30))
def test_subscriptions_are_what_was_asked_for_last(steps: list[tuple[bool, str]]) -> None:
    wanted = Subscriptions()
    expected: set[str] = set()
    for subscribing, channel in steps:
        changed = (channel not in expected) is subscribing
        assert (wanted.add(channel) if subscribing else wanted.remove(channel)) is changed
        (expected.add if subscribing else expected.discard)(channel)
    assert wanted.channels == sorted(expected)
    assert wanted.kinds == {channel.split(".")[0] for channel in expected}


@pytest.mark.parametrize("channel", ["BAD", "T.", "X.*", "AS.*", "ZZ.AAPL", "", ".AAPL"])
def test_a_topic_that_the_vendor_does_not_have_is_no_channel(channel: str) -> None:
    assert not is_channel(channel)
    assert is_channel("T.NOBODY"), "whose symbol need not exist"


async def test_a_market_that_falls_behind_is_held_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("producers.simulator.feed.CATCH_UP_S", 0.02)
    calendar = TradingCalendar()
    start_ms = start_of(calendar, "2026-11-20T09:30")
    model = MarketModel(calendar, symbols=50, seed=1, events_per_s=5000, start_ms=start_ms)
    market = VirtualClock(start_ms + 8 * 3_600_000, 1.0, Wall())
    feed = Feed(model, market, Faults(), skip_nights=True)
    await feed.tick()
    assert feed.counts["held_back"] == 1
    assert start_ms < model.next_ms < start_ms + 8 * 3_600_000
    assert market.now_ms() == model.next_ms


def test_faults_hold_until_changed_or_reset() -> None:
    faults = Faults()
    faults.apply(FaultRequest(refuse_login=True, rest_status=500, rest_times=2, market="closed"))
    assert faults.refuse_login
    assert [faults.take_rest_status() for _ in range(3)] == [500, 500, None]
    faults.apply(FaultRequest(drop_during_auth=1))
    assert [faults.take_auth_drop() for _ in range(2)] == [True, False]
    assert faults.market == "closed"
    faults.apply(FaultRequest(market=None))
    assert faults.market is None
    faults.apply(FaultRequest(reset=True))
    assert faults == Faults()


def test_a_day_is_busiest_at_its_open_and_close() -> None:
    calendar = TradingCalendar()
    shape = DayShape(calendar.trading_day("2026-11-20"))
    opens, closes = 19_800, 43_200
    noon = opens + (closes - opens) // 2
    assert shape.rate[opens] > 3 * shape.rate[noon]
    assert shape.rate[closes - 1] > 2 * shape.rate[noon]
    assert shape.rate[opens - 1] < shape.rate[noon]
    assert shape.rate[opens:closes].mean() == pytest.approx(1)
    assert shape.passed(0) == 0
    assert shape.passed(shape.seconds) == pytest.approx(1)
    assert DayShape(calendar.trading_day("2026-11-27")).rate[opens + 12_600] < 1, "closed early, at 13:00"


@pytest.mark.parametrize("start", ["3:00", "soon", "Fry 10:00", "1999-11-26T10:00", "2026-13-01T10:00"])
def test_a_start_of_another_form_is_refused(start: str) -> None:
    with pytest.raises(SettingsError, match="expected a start"):
        start_of(TradingCalendar(), start)


def test_a_weekday_starts_on_the_last_one_that_there_was(monkeypatch: pytest.MonkeyPatch) -> None:
    at = datetime(2026, 11, 25, 21, 0, tzinfo=NEW_YORK)  # a Wednesday
    monkeypatch.setattr("producers.simulator.server.clock.wall_s", at.timestamp)
    for start, day in (
        ("Fri 19:58", "2026-11-20T19:58"),
        ("Wed 09:25", "2026-11-25T09:25"),
        ("Sat 12:00", "2026-11-21T12:00"),
    ):
        wanted = datetime.fromisoformat(day).replace(tzinfo=NEW_YORK)
        assert start_of(TradingCalendar(), start) == int(wanted.timestamp()) * 1000


async def test_a_market_with_nights_is_closed_over_a_weekend_and_clears_its_day_at_half_past_three() -> None:
    """From Friday 19:59:59 to Monday 04:00: nothing is sent; the finished day stays until 03:30."""
    calendar = TradingCalendar()
    start_ms = start_of(calendar, "2026-11-20T19:59:59")
    model = MarketModel(calendar, symbols=20, seed=1, events_per_s=500, start_ms=start_ms)
    market = VirtualClock(start_ms, 1.0, Wall())
    feed = Feed(model, market, Faults(), skip_nights=False)
    for when, day, has_volume in (
        ("2026-11-20T20:00", "2026-11-20", True),
        ("2026-11-21T12:00", "2026-11-20", True),
        ("2026-11-23T03:29", "2026-11-20", True),
        ("2026-11-23T03:30", "2026-11-23", False),
    ):
        market.jump(start_of(calendar, when))
        await feed.tick()
        assert (model.day.day, bool(model.bars.volume.any())) == (day, has_volume), when
        answers = Answers(model, 1)
        assert answers.market_status(market.now_ms(), None)["market"] == "closed"
        assert (answers.snapshot(0, market.now_ms())["updated"] > 0) is has_volume
    assert feed.time_ms == start_of(calendar, "2026-11-23T04:00")
    market.jump(start_of(calendar, "2026-11-23T04:00:05"))
    await feed.tick()
    assert model.next_ms > start_of(calendar, "2026-11-23T04:00")


def test_a_time_of_day_starts_on_the_last_trading_day() -> None:
    calendar = TradingCalendar()
    start_ms = start_of(calendar, "09:25")
    day = calendar.trading_day(calendar.day_of(start_ms))
    assert day.opens_ms - start_ms == 5 * 60_000


@pytest.mark.parametrize(
    ("kept", "start"),
    [
        ("2026-11-20T09:26:31", "2026-11-20T09:26:31"),
        ("2026-11-20T19:59:59", "2026-11-20T19:59:59"),
        ("2026-11-20T20:00:00", "2026-11-23T04:00:00"),
        ("2026-11-25T20:00:00", "2026-11-27T04:00:00"),  # Thanksgiving is between them
    ],
)
def test_a_second_start_goes_on_where_the_market_was(kept: str, start: str, tmp_path: Path) -> None:
    calendar = TradingCalendar()
    file = KeptTime(tmp_path / "made" / "clock")
    file.write(int(datetime.fromisoformat(kept).replace(tzinfo=NEW_YORK).timestamp() * 1000))
    at_ms = file.read()
    assert at_ms is not None
    assert start_after(calendar, at_ms) == start
    assert start_of(calendar, start) >= at_ms


def test_a_clock_file_without_a_time_counts_as_none(tmp_path: Path) -> None:
    assert KeptTime(tmp_path / "clock").read() is None
    (tmp_path / "clock").write_text("half a num")
    assert KeptTime(tmp_path / "clock").read() is None
