"""Feeds that are lists over a table's records: what is halted now, the newest alerts."""

import math
from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

import msgspec

from app.gateway.protocol.feeds import HALTS, PublicTable
from app.gateway.tables.documents import array
from app.gateway.tables.ranges import Alert, alert_of, extreme_of
from app.market.agreed_time import AgreedTime

#: Alerts that the gateway answers from; a busy day has a few thousand.
KEPT_ALERTS = 10_000
#: Entries of `alerts:latest`, and of the lists of new highs and lows.
LATEST_ALERTS, EXTREME_ALERTS = 200, 1000
#: New highs and lows are listed this long (ms of event time) before what three symbols have reached.
EXTREMES_FOR_MS = 8 * 3_600_000
#: An alert so much later than three symbols' newest is of a wrong time. A long weekend has four days.
WRONGLY_AHEAD_MS = 7 * 86_400_000


class NewestAlerts:
    """The newest alerts, each key once, in any order of arrival and with any repetitions the same.

    Alerts older than `for_ms` go, and those far ahead of all others are not listed: both by the time that three
    symbols have reached, so that one alert with a wrong time hides no other.
    """

    def __init__(self, kept: int, for_ms: int | None = None) -> None:
        self._kept, self._for_ms = kept, for_ms
        self._order: list[tuple[int, str]] = []
        self._alerts: dict[str, tuple[Alert, bytes]] = {}
        self._times = AgreedTime()

    def add(self, alert: Alert, entry: bytes) -> bool:
        """Take in an alert and what is listed for it; whether the list is another now."""
        if alert.key in self._alerts:
            return False
        before = len(self._order) - self._listed()
        place = (alert.timestamp, alert.key)
        insort(self._order, place)
        self._alerts[alert.key] = (alert, entry)
        self._times.see(alert.symbol, alert.timestamp)
        gone = self._without_old()
        listed = self._listed()
        kept = alert.key in self._alerts
        shown = kept and place < self._end()
        hidden = len(self._order) - listed - (kept and not shown)
        return shown or gone > (not kept) or hidden != before

    def newest(self) -> Iterator[tuple[Alert, bytes]]:
        """The alerts and their entries, newest first; of one time, by key."""
        return (self._alerts[key] for _, key in reversed(self._order[: self._listed()]))

    def _without_old(self) -> int:
        """Let go of what is too old or too much; how many."""
        surplus = max(0, len(self._order) - self._kept)
        if self._for_ms is not None and self._times.settled:
            surplus = max(surplus, bisect_left(self._order, (self._times.ms - self._for_ms, "")))
        for _, key in self._order[:surplus]:
            del self._alerts[key]
        del self._order[:surplus]
        return surplus

    def _end(self) -> tuple[float, str]:
        """The first place that is not listed."""
        return (self._times.ms + WRONGLY_AHEAD_MS + 1 if self._times.settled else math.inf, "")

    def _listed(self) -> int:
        return bisect_left(self._order, self._end())


class Listing:
    """A feed whose document is a list of the current trading day; it is always there, if empty.

    It has the face of a record: `value` and `document()` are the list's JSON, `version` counts its states.
    """

    def __init__(self, feed: str, table: PublicTable, entries: Callable[[bool], Iterable[bytes]]) -> None:
        self.feed, self.key, self.table = feed, feed, table
        self._entries = entries
        self._value: bytes | None = None
        self.version = 0

    @property
    def value(self) -> bytes:
        """The list as JSON, made when someone asks for it."""
        if self._value is None:
            self._value = array(self._entries(False))
        return self._value

    def of_all_days(self) -> bytes:
        """The list as JSON with the entries of earlier trading days, for whoever chooses by the day."""
        return array(self._entries(True))

    def document(self) -> bytes:
        """The list as JSON."""
        return self.value

    def renewed(self) -> bytes:
        """The list, made anew."""
        self._value = None
        return self.value

    def changed(self) -> "Listing":
        """Count a new state."""
        self.version += 1
        self._value = None
        return self


class _Halted(msgspec.Struct):
    symbol: str
    halted_since: int | None = None
    day: str | None = None


_halted = msgspec.json.Decoder(_Halted)


class HaltedNow:
    """The symbols that are halted, the newest halt first.

    A halt ends with its trading day: one of before `day` (ISO date; None: not known yet) is not listed, also where no
    event of its partition has ended it.
    """

    def __init__(self) -> None:
        self.day: str | None = None
        self._rows: dict[bytes, tuple[int, str | None, bytes]] = {}
        self.listing = Listing("scanners:halted", HALTS, self._entries)

    def __len__(self) -> int:
        return sum(_is_of(day, self.day) for _, day, _ in self._rows.values())

    def take(self, key: bytes, value: bytes | None) -> list[Listing]:
        """A record of the halts; the lists that it changes. Raises `msgspec.DecodeError`: not a halt's state."""
        found = None if value is None else _halted.decode(value)
        before = self._rows.pop(key, None)
        if found is not None and found.halted_since is not None and value is not None:
            self._rows[key] = (found.halted_since, found.day, value)
        return [self.listing] if self._rows.get(key) != before else []

    def _entries(self, all_days: bool) -> Iterator[bytes]:
        ordered = sorted(self._rows.items(), key=lambda item: (-item[1][0], item[0]))
        return (row for _, (_, day, row) in ordered if all_days or _is_of(day, self.day))


def _is_of(day: str | None, current: str | None) -> bool:
    """Whether something is of the current trading day, or nobody knows."""
    return day is None or current is None or day >= current


class AlertLists:
    """The newest alerts of all kinds, and those of new highs and of new lows.

    The lists have those of `day` (ISO date), the current trading day; None: not known yet.
    """

    def __init__(self, alerts: PublicTable) -> None:
        self.day: str | None = None
        self.all = NewestAlerts(KEPT_ALERTS)
        self._extremes = {kind: NewestAlerts(EXTREME_ALERTS, EXTREMES_FOR_MS) for kind in ("new_high", "new_low")}
        self.latest = Listing("alerts:latest", alerts, lambda every: self._entries(self.all, every, LATEST_ALERTS))
        highs, lows = self._extremes["new_high"], self._extremes["new_low"]
        self._listings = {
            "new_high": Listing("daily_range_hod_alert", alerts, lambda every: self._entries(highs, every)),
            "new_low": Listing("daily_range_lod_alert", alerts, lambda every: self._entries(lows, every)),
        }
        self.listings = (self.latest, *self._listings.values())

    def take(self, key: bytes, value: bytes | None) -> list[Listing]:
        """A record of the alerts; the lists that it changes. Raises `msgspec.DecodeError`: not an alert."""
        if value is None:
            return []
        alert = alert_of(value)
        changed = [self.latest] if self.all.add(alert, value) else []
        extremes = self._extremes.get(alert.kind)
        if extremes is not None and extremes.add(alert, extreme_of(alert)):
            changed.append(self._listings[alert.kind])
        return changed

    def of_day(self, day: str | None = None) -> Iterator[tuple[Alert, bytes]]:
        """The alerts of a trading day (ISO date), else of the current one, newest first."""
        if day is not None:
            return (found for found in self.all.newest() if found[0].day == day)
        return (found for found in self.all.newest() if _is_of(found[0].day, self.day))

    def _entries(self, alerts: NewestAlerts, all_days: bool, limit: int | None = None) -> Iterator[bytes]:
        listed = (entry for alert, entry in alerts.newest() if all_days or _is_of(alert.day, self.day))
        return islice(listed, limit)
