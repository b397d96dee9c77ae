"""Which feed is which record of which public table.

A table that is to be served is added to `TABLES`; feeds, cache keys and wildcards follow from it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from app.kafka import topics
from app.kafka.topics import TopicSpec


class BoardRecord(msgspec.Struct, frozen=True):
    """A record of `market.leaderboards`, its entries left as the bytes that they are."""

    board: str
    day: str
    published_ns: int
    entries: msgspec.Raw


_board = msgspec.json.Decoder(BoardRecord)


def board_record(value: bytes) -> BoardRecord:
    """A board's record. Raises `msgspec.DecodeError` where it is none."""
    return _board.decode(value)


def _entries(value: bytes) -> bytes:
    return bytes(board_record(value).entries)


def _as_it_is(value: bytes) -> bytes:
    return value


@dataclass(frozen=True, slots=True)
class PublicTable:
    """A public table: its topic, how its feeds are named, and a record's document.

    The feed of a key is `prefix`, key, `suffix`; a key of `named` has a feed name of its own. `listed` is
    what a list of its rows is called by REST.
    """

    topic: TopicSpec
    prefix: str
    document: Callable[[bytes], bytes] = _as_it_is
    suffix: str = ""
    named: tuple[tuple[str, str], ...] = ()
    listed: str = ""

    def feed(self, key: str) -> str:
        """The feed's name of a key."""
        return next((name for named, name in self.named if named == key), f"{self.prefix}{key}{self.suffix}")


#: The key of the summary of all trade windows.
ALL_WINDOWS = "*"

QUOTES = PublicTable(topics.MARKET_QUOTES, "quote:", listed="quotes")
BOARDS = PublicTable(topics.LEADERBOARDS, "scanners:", _entries, listed="boards")
TRADE_WINDOWS = PublicTable(
    topics.TRADE_WINDOWS,
    "tta:",
    suffix=":widget",
    named=((ALL_WINDOWS, "tta:all_symbols:widget"),),
    listed="trade_windows",
)
NBBO = PublicTable(topics.NBBO, "nbbo:", listed="nbbo")
HALTS = PublicTable(topics.MARKET_HALTS, "halt:", listed="halts")
#: A feed of it is the quote's fields with the six extremes: `app.gateway.tables.ranges`.
DAILY_RANGES = PublicTable(topics.DAILY_RANGES, "daily_range:", listed="daily_ranges")
#: A log, not a table: a symbol's feed is its newest alert.
ALERTS = PublicTable(topics.ALERTS, "alerts:", listed="alerts")
#: The directory; its rows change once a day.
SYMBOLS = PublicTable(topics.MARKET_SYMBOLS, "symbol:", listed="symbols")
#: One record: what is known of the vendor's feed.
VENDOR_FEED = PublicTable(topics.FEED, "vendor:", listed="vendor")
#: The tables whose keys are symbols.
BY_SYMBOL = (QUOTES, TRADE_WINDOWS, NBBO, HALTS, DAILY_RANGES, ALERTS, SYMBOLS)
TABLES = (QUOTES, BOARDS, TRADE_WINDOWS, NBBO, HALTS, DAILY_RANGES, ALERTS, SYMBOLS, VENDOR_FEED)


def is_pattern(feed: str) -> bool:
    """Whether a feed's name stands for all that match."""
    return "*" in feed


def matcher(pattern: str) -> Callable[[str], bool]:
    """Tells whether a feed matches; `*` stands for any characters, nothing else is special.

    Its time grows with the feed's length only, whatever the pattern: patterns come from outside.
    """
    first, *middle, last = pattern.split("*")
    if not middle and not last:
        return lambda feed: feed.startswith(first)

    def matches(feed: str) -> bool:
        end = len(feed) - len(last)
        if not feed.startswith(first) or not feed.endswith(last):
            return False
        at = len(first)
        for part in middle:
            found = feed.find(part, at, end)
            if found < 0:
                return False
            at = found + len(part)
        return at <= end

    return matches
