"""A day's row and its alerts: what is raised, how often, and that no cut into batches changes it."""

from itertools import pairwise
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from app.market.alerts import AlertKind, AlertRules
from app.market.calendar import TradingCalendar
from app.market.daily_alerts import AlertRecord, RangeRow, fold_day, fold_thresholds, halt_records
from app.market.daily_ranges import DailyRange, fold_range
from app.market.events import Aggregate
from app.market.halts import HaltState
from app.market.rows import QuoteRow

CALENDAR = TradingCalendar.new_york()
START_MS = 1_381_325_400_000  # 2013-10-09 09:30 ET
RULES = AlertRules(cooldown_ms=60_000)

bars = st.lists(
    st.builds(
        lambda after_s, low, height: Aggregate(
            symbol="ABC", high=low + height, low=low, start_timestamp=START_MS + after_s * 1000
        ),
        st.integers(-10_000, 40_000),
        st.integers(1, 50),
        st.integers(0, 20),
    ),
    max_size=60,
)


def folded(sequence: list[Aggregate], rules: AlertRules) -> tuple[RangeRow | None, list[AlertRecord]]:
    row: RangeRow | None = None
    alerts: list[AlertRecord] = []
    for bar in sequence:
        row, found = fold_day(row, bar, rules, CALENDAR)
        # As after a crash: the row comes back from its bytes.
        row = msgspec.json.decode(msgspec.json.encode(row), type=RangeRow)
        alerts += found
    return row, alerts


@given(bars)
def test_without_a_cool_down_each_new_extreme_is_an_alert(sequence: list[Aggregate]) -> None:
    """The ranges are those of the plain rule."""
    row, alerts = folded(sequence, AlertRules(cooldown_ms=0))
    plain: DailyRange | None = None
    expected = []
    for bar in sequence:
        plain, found = fold_range(plain, bar, CALENDAR)
        expected += [(alert.session, alert.price, alert.previous, alert.note) for alert in found]
    # Out of order, an extreme may be as old as the last alert of its kind and not be late; the cool-down keeps it back.
    told = [(alert.session, alert.value, alert.previous, alert.note) for alert in alerts]
    assert [each for each in expected if each in told] == told
    if sequence == sorted(sequence, key=lambda bar: bar.start_timestamp or 0):
        assert told == expected
    if plain is not None and row is not None:
        assert {name: getattr(row, name) for name in DailyRange.__struct_fields__} == msgspec.structs.asdict(plain)


@given(bars)
def test_alerts_of_a_kind_are_as_far_apart_as_told(sequence: list[Aggregate]) -> None:
    """And no two have the same key. Late ones are apart from them: they all pass."""
    _, found = folded(sequence, RULES)
    alerts = [alert for alert in found if not alert.late]
    assert len({alert.key for alert in alerts}) == len(alerts)
    for kind in (AlertKind.NEW_HIGH, AlertKind.NEW_LOW):
        times = [alert.timestamp for alert in alerts if alert.kind is kind]
        assert all(later >= earlier + RULES.cooldown_ms for earlier, later in pairwise(times))


def quote(relative_volume: float, day: str = "2013-10-09") -> QuoteRow:
    fields: dict[str, Any] = dict.fromkeys(QuoteRow.__struct_fields__)
    fields |= {"symbol": "ABC", "day": day, "opened_regular": True, "official_open_price": 0.0}
    fields |= {"end_timestamp": START_MS, "relative_volume": relative_volume}
    return QuoteRow(**fields)


@given(st.lists(st.floats(0, 20), max_size=10))
def test_a_threshold_is_raised_once_a_day_whatever_the_volume_does(volumes: list[float]) -> None:
    """With the row that reached it; the row of another day raises nothing."""
    state, alerts = RangeRow("ABC", "2013-10-09"), []
    for volume in volumes:
        state, found = fold_thresholds(state, quote(volume), RULES)
        alerts += found
    highest = max(volumes, default=0.0)
    assert len({alert.key for alert in alerts}) == len(alerts)
    assert len(state.raised) == sum(highest >= limit for limit in RULES.volume_multiples)
    assert all(alert.row is not None and alert.value == alert.row.relative_volume for alert in alerts)
    assert fold_thresholds(state, quote(99.0, "2013-10-08"), RULES) == (state, [])


def test_a_halt_and_its_resumption_carry_the_row() -> None:
    """Each once."""
    trading = HaltState("ABC", 11.0, 9.0, (21,), START_MS, 1)
    halted = msgspec.structs.replace(trading, halted_since=START_MS, reason="limit state")
    resumed = msgspec.structs.replace(trading, resumed_at=START_MS + 300_000, reason="limit state")
    begin, end = halt_records(trading, halted, quote(1.0)), halt_records(halted, resumed, None)
    assert [(alert.kind, alert.note) for alert in begin + end] == [
        (AlertKind.HALT, "limit state"),
        (AlertKind.RESUMPTION, "limit state"),
    ]
    assert begin[0].row == quote(1.0)
    assert halt_records(halted, halted, None) == []
