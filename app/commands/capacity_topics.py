"""What each topic takes of Kafka: bytes written in a day, at the peak, and held. Of one replica, compressed.

Raw events and the rows that they cause are measured by event (`FIGURES`), hand-overs and what is published of them by
`benchmarks/hand_overs.py`; a test compares both. What comes by the symbol and the day is small, and assumed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from app.commands.capacity_load import FIGURES, HOUR_S, REGULAR_S, WHOLE_TAPE, Figures, Load
from app.kafka import topics
from app.kafka.topics import ALL_TOPICS, HOUR_MS, TopicSpec

#: Bytes a second of the whole tape, by `benchmarks/hand_overs.py`: all raw events as they are made there, what
#: partitions hand over of them, what is published.
HANDED_OVER: Final[Mapping[str, float]] = {
    "raw": 6_277_185,
    "board_rows": 790_965,
    "window_statistics": 83_588,
    "leaderboards": 346_906,
    "trade_windows": 74_658,
}

SYMBOLS: Final = 12_000
#: Trading hours of a day (s): three sessions.
SESSIONS_S: Final = 16 * HOUR_S
#: A table's log is cleaned up to the segment that is written to, which is closed after ten minutes: an hour is six.
CLEANED_AFTER_S: Final = HOUR_S
#: Records by symbol and day, and bytes of one: assumptions, of which nothing hangs. A band is sent anew as prices move;
#: an alert holds the row.
BANDS, BAND_BYTES = 60, 60.0
ALERTS, ALERT_BYTES = 10, 250.0
REFERENCE_BYTES, LISTING_BYTES = 120.0, 60.0
#: One event of a million is refused, and its letter holds it and the reason.
REFUSED, LETTER_BYTES = 1e-6, 1000.0
#: Of the rows that aggregates cause, by the size of their JSON: quote rows, and ranges where they change.
QUOTE_ROWS: Final = 0.8


@dataclass(frozen=True, slots=True)
class TopicBytes:
    """What a topic takes: bytes written in a day and a second of the peak, and held; of one replica."""

    spec: TopicSpec
    written_per_day: float
    peak_per_s: float
    held: float


def bytes_by_topic(load: Mapping[str, Load], figures: Mapping[str, Figures] = FIGURES) -> list[TopicBytes]:
    """What each declared topic takes under a load, in the order in which topics are declared."""
    return [_taken(spec, *_written(spec, load, figures), load) for spec in ALL_TOPICS]


def _taken(spec: TopicSpec, per_day: float, peak_per_s: float, load: Mapping[str, Load]) -> TopicBytes:
    if spec.cleanup == "compact":
        # All rows once are less than that, but where they are written once a day.
        an_hour = max(peak_per_s, per_day / SESSIONS_S) * CLEANED_AFTER_S
        return TopicBytes(spec, per_day, peak_per_s, per_day if spec in _BY_SYMBOL else min(per_day, an_hour))
    kind = _RAW.get(spec, "")
    hours = load[kind].retention_h if kind in load else spec.retention_ms / HOUR_MS
    if hours < 1:
        # Whole segments are deleted, of which one is half the time: what is kept is one and a half times that.
        return TopicBytes(spec, per_day, peak_per_s, min(per_day, peak_per_s * hours * 1.5 * HOUR_S))
    # Most of a day's events come in the six and a half hours of its regular session.
    days = min(1.0, hours * HOUR_S / REGULAR_S) if hours <= 24 else hours / 24
    return TopicBytes(spec, per_day, peak_per_s, per_day * max(days, 0.0))


_RAW: Final[Mapping[TopicSpec, str]] = {topics.AGGREGATES: "A", topics.TRADES: "T", topics.QUOTES: "Q"}
#: Topics of rows: by which events they change, and their share of the rows' bytes.
_ROWS: Final[Mapping[TopicSpec, tuple[str, float]]] = {
    topics.MARKET_QUOTES: ("A", QUOTE_ROWS),
    topics.DAILY_RANGES: ("A", 1 - QUOTE_ROWS),
    topics.TRADE_TAPE: ("T", 1.0),
    topics.NBBO: ("Q", 1.0),
}
_HANDED: Final[Mapping[TopicSpec, str]] = {
    topics.BOARD_ROWS: "board_rows",
    topics.WINDOW_STATISTICS: "window_statistics",
}
#: What is published by the clock, and of which events it is made.
_PUBLISHED: Final[Mapping[TopicSpec, tuple[str, str]]] = {
    topics.LEADERBOARDS: ("leaderboards", "A"),
    topics.TRADE_WINDOWS: ("trade_windows", "T"),
}
#: Bytes of a day that hang on the symbols alone.
_BY_SYMBOL: Final[Mapping[TopicSpec, float]] = {
    topics.HALTS: BANDS * BAND_BYTES,
    topics.MARKET_HALTS: BANDS * BAND_BYTES,
    topics.REFERENCE: REFERENCE_BYTES,
    topics.MARKET_REFERENCE: REFERENCE_BYTES,
    topics.SYMBOLS: LISTING_BYTES,
    topics.MARKET_SYMBOLS: LISTING_BYTES,
    topics.ALERTS: ALERTS * ALERT_BYTES,
}
#: A few records of a day, or none where all goes well.
_FEW: Final = frozenset({topics.UNKNOWN, topics.FEED, topics.OWNER})


def _written(spec: TopicSpec, load: Mapping[str, Load], figures: Mapping[str, Figures]) -> tuple[float, float]:
    """Bytes of a day, and of a second of the peak. Raises `KeyError`: nothing is known of the topic."""
    if (kind := _RAW.get(spec)) is not None:
        return _events(load, kind, figures[kind].bytes_quiet, figures[kind].bytes_busy) if kind in load else (0.0, 0.0)
    if spec in _ROWS:
        kind, share = _ROWS[spec]
        if kind not in load:
            return 0.0, 0.0
        return _events(load, kind, figures[kind].row_bytes_quiet * share, figures[kind].row_bytes_busy * share)
    if spec in _HANDED:
        share = HANDED_OVER[_HANDED[spec]] / HANDED_OVER["raw"]
        raw = [_events(load, kind, figures[kind].bytes_quiet, figures[kind].bytes_busy) for kind in load]
        return share * sum(day for day, _ in raw), share * sum(peak for _, peak in raw)
    if spec in _PUBLISHED:
        name, kind = _PUBLISHED[spec]
        busy = min(1.0, load[kind].peak_per_s / WHOLE_TAPE[kind].peak_per_s) if kind in load else 0.0
        # Once a second at most, however many events there are: an upper bound of a day is the peak all day long.
        return HANDED_OVER[name] * busy * SESSIONS_S, HANDED_OVER[name] * busy
    if spec is topics.DEAD_LETTERS:
        events = sum(each.per_day for each in load.values()), sum(each.peak_per_s for each in load.values())
        return events[0] * REFUSED * LETTER_BYTES, events[1] * REFUSED * LETTER_BYTES
    per_day = 0.0 if spec in _FEW else SYMBOLS * _BY_SYMBOL[spec]
    return per_day, per_day / SESSIONS_S


def _events(load: Mapping[str, Load], kind: str, quiet: float, busy: float) -> tuple[float, float]:
    return load[kind].per_day * quiet, load[kind].peak_per_s * busy
