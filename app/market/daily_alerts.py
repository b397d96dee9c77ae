"""A symbol's day: its ranges with the alerts raised for it, and the alerts as they are published."""

import math

import msgspec
from msgspec import Struct

from app.market.alerts import (
    Alert,
    AlertKind,
    AlertRules,
    cool_down,
    halt_alerts,
    range_alerts,
    threshold_alerts,
)
from app.market.calendar import Session, TradingCalendar
from app.market.daily_ranges import DailyRange, RangeAlert, fold_range
from app.market.events import Aggregate, Reference
from app.market.halts import HaltState
from app.market.rows import QuoteRow


class RangeRow(DailyRange, frozen=True, gc=False):
    """A record of `market.daily-ranges`: the six extremes, and what was raised for the symbol that day.

    `raised` holds keys of the thresholds reached, sorted; `last_alert_ms` when (epoch ms) each kind
    of alert that cools down was last raised.
    """

    raised: tuple[str, ...] = ()
    last_alert_ms: dict[str, int] = msgspec.field(default_factory=dict)


class AlertRecord(Struct, frozen=True, kw_only=True):
    """A record of `market.alerts`; repetitions after a crash have an equal `key`.

    `timestamp` is epoch ms. For a new high or low `value` is its price in US dollars, `previous`
    the extreme that fell, and `session` the session that it belongs to. `row` is the symbol's quote
    row when the alert was raised, None where it has none. `late` alerts are by a bar that came after later ones of its
    symbol, and of before them. `day` is the trading day (ISO date).
    """

    key: str
    symbol: str
    kind: AlertKind
    timestamp: int
    value: float | None
    note: str
    session: Session | None = None
    previous: float | None = None
    row: QuoteRow | None = None
    late: bool = False
    day: str | None = None


def fold_day(
    state: RangeRow | None, bar: Aggregate, rules: AlertRules, calendar: TradingCalendar, limit_ms: float = math.inf
) -> tuple[RangeRow, list[AlertRecord]]:
    """The row after a bar, and the alerts of new extremes that are not too soon after the last.

    `limit_ms` is as for `fold_range`, and `ValueError` is raised as there.
    """
    ranges, found = fold_range(state, bar, calendar, limit_ms)
    row = ranges if isinstance(ranges, RangeRow) else RangeRow(*msgspec.structs.astuple(ranges))
    if not found:
        return row, []
    extremes: dict[str, RangeAlert] = {}
    alerts = []
    for extreme, alert in zip(found, range_alerts(found), strict=True):
        extremes[alert.key] = extreme
        alerts.append(alert)
    last_alert_ms, passed = cool_down(row.last_alert_ms, alerts, rules)
    records = [_record(alert, row.day, extremes[alert.key]) for alert in passed]
    return msgspec.structs.replace(row, last_alert_ms=last_alert_ms), records


def reaches_threshold(state: RangeRow, bar: Aggregate, reference: Reference | None, rules: AlertRules) -> bool:
    """Whether a bar reaches any threshold of its day, raised or not; cheap.

    Looking at each bar, and not at the last of several, makes the alerts the same wherever bars are cut into batches.
    """
    if reference is None or reference.day != state.day:
        return False
    average, volume = reference.avg_volume, bar.accumulated_volume
    # A little less than the least thresholds: whoever looks closely decides, and rounds as it does.
    if average and volume is not None and volume >= average * 0.999 * rules.volume_multiples[0]:
        return True
    previous, close = reference.previous_day, bar.close
    if previous is None or not previous.close or not close:
        return False
    return abs(close / previous.close - 1.0) >= 0.00999 * rules.gap_percents[0]


def fold_thresholds(
    state: RangeRow, quote: QuoteRow, rules: AlertRules, late: bool = False
) -> tuple[RangeRow, list[AlertRecord]]:
    """The row and the alerts of thresholds that a quote row is the first of its day to reach; `late`: by a late bar."""
    if quote.day != state.day:
        return state, []
    raised, alerts = threshold_alerts(quote, frozenset(state.raised), rules, late)
    if len(raised) == len(state.raised):
        return state, []
    row = msgspec.structs.replace(state, raised=tuple(sorted(raised)))
    return row, [with_row(_record(alert, state.day), quote) for alert in alerts]


def halt_records(before: HaltState | None, after: HaltState, row: QuoteRow | None) -> list[AlertRecord]:
    """The alert of a halt or resumption between two states of a symbol."""
    return [with_row(_record(alert, after.day), row) for alert in halt_alerts(before, after)]


def with_row(record: AlertRecord, row: QuoteRow | None) -> AlertRecord:
    """The alert with the quote row of that moment."""
    return record if row is None else msgspec.structs.replace(record, row=row)


def _record(alert: Alert, day: str | None, extreme: RangeAlert | None = None) -> AlertRecord:
    fields = msgspec.structs.asdict(alert) | {"day": day}
    if extreme is not None:
        fields |= {"session": extreme.session, "previous": extreme.previous}
    return AlertRecord(**fields)
