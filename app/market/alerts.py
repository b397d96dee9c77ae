"""Alerts of a symbol from what its states say, each once and not too often."""

from collections.abc import Iterable, Iterator, Mapping, Set
from enum import StrEnum

from msgspec import Struct

from app.market.daily_ranges import RangeAlert
from app.market.halts import HaltState
from app.market.rows import QuoteRow


class AlertKind(StrEnum):
    """What an alert is about."""

    NEW_HIGH = "new_high"
    NEW_LOW = "new_low"
    HALT = "halt"
    RESUMPTION = "resumption"
    VOLUME_SPIKE = "volume_spike"
    GAP_UP = "gap_up"
    GAP_DOWN = "gap_down"


class AlertRules(Struct, frozen=True):
    """When to raise an alert: multiples of the average volume, per cent of change, ms of silence.

    Thresholds ascend, and there is one of each at least. Highs and lows of a symbol are at least `cooldown_ms` of
    event time apart; a threshold is raised once a day and a halt always.
    """

    volume_multiples: tuple[float, ...] = (2.0, 5.0, 10.0)
    gap_percents: tuple[float, ...] = (10.0, 20.0, 50.0, 100.0)
    cooldown_ms: int = 60_000


class Alert(Struct, frozen=True, gc=False):
    """An alert: `value` is the price, multiple or percentage, `timestamp` epoch ms.

    `key` is equal for the same alert raised twice, so that whoever has seen it can drop the second. `late` is one by a
    bar that came after later ones of its symbol.
    """

    key: str
    symbol: str
    kind: AlertKind
    timestamp: int
    value: float | None
    note: str
    late: bool = False


def range_alerts(alerts: Iterable[RangeAlert]) -> Iterator[Alert]:
    """Alerts of new extremes of a session."""
    for alert in alerts:
        kind = AlertKind.NEW_HIGH if alert.direction == "high" else AlertKind.NEW_LOW
        at_ms = round(alert.timestamp * 1000)
        key = f"{alert.symbol}/{kind}/{alert.session}/{at_ms}/{alert.price}"
        yield Alert(key, alert.symbol, kind, at_ms, alert.price, alert.note, alert.late)


def halt_alerts(before: HaltState | None, after: HaltState) -> Iterator[Alert]:
    """The alert of a halt that began or ended between two states of a symbol."""
    was, now = (None if before is None else before.halted_since), after.halted_since
    if now is not None and now != was:
        key = f"{after.symbol}/{AlertKind.HALT}/{now}"
        yield Alert(key, after.symbol, AlertKind.HALT, now, None, after.reason or "")
    elif now is None and was is not None and after.resumed_at is not None:
        key = f"{after.symbol}/{AlertKind.RESUMPTION}/{after.resumed_at}"
        yield Alert(key, after.symbol, AlertKind.RESUMPTION, after.resumed_at, None, after.reason or "")


def threshold_alerts(
    row: QuoteRow, raised: Set[str], rules: AlertRules, late: bool = False
) -> tuple[frozenset[str], list[Alert]]:
    """What a row reaches of its day's thresholds: the keys raised by now, and of each kind the highest new one.

    `raised` are the keys of the row's day. A row without a time raises nothing.
    """
    keys_raised, alerts = frozenset(raised), []
    at_ms = row.end_timestamp if row.end_timestamp is not None else row.start_timestamp
    if at_ms is None:
        return keys_raised, []
    change = row.pct_change
    measures = (
        (AlertKind.VOLUME_SPIKE, row.relative_volume, rules.volume_multiples, " times the average volume"),
        (AlertKind.GAP_UP, change, rules.gap_percents, "% above the previous close"),
        (AlertKind.GAP_DOWN, None if change is None else -change, rules.gap_percents, "% below the previous close"),
    )
    for kind, value, thresholds, words in measures:
        reached = [threshold for threshold in thresholds if value is not None and value >= threshold]
        if not reached:
            continue
        keys = [f"{row.symbol}/{row.day}/{kind}/{threshold:g}" for threshold in reached]
        if keys[-1] not in keys_raised:
            alerts.append(Alert(keys[-1], row.symbol, kind, at_ms, value, f"At least {reached[-1]:g}{words}", late))
        # Those below count as raised too: a value that falls back through them is no news.
        keys_raised = keys_raised.union(keys)
    return keys_raised, alerts


def cool_down(
    last_ms: Mapping[str, int], alerts: Iterable[Alert], rules: AlertRules
) -> tuple[dict[str, int], list[Alert]]:
    """The new highs and lows that are not too soon after the last of their kind, and when each was last.

    Late ones all pass: they are few, and would be taken for too soon since they are of before the last.
    """
    latest, passed = dict(last_ms), []
    for alert in alerts:
        before = latest.get(alert.kind)
        if alert.late:
            passed.append(alert)
        elif before is None or alert.timestamp >= before + rules.cooldown_ms:
            latest[alert.kind] = alert.timestamp
            passed.append(alert)
    return latest, passed
