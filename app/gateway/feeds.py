"""Which feed is which record of which public table.

A table that is to be served is added to `TABLES`; feeds, cache keys and wildcards follow from it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from app.topics import LEADERBOARDS, MARKET_QUOTES, TopicSpec


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
    """A public table: its topic, what its feeds' names begin with, and a record's document."""

    topic: TopicSpec
    prefix: str
    document: Callable[[bytes], bytes]


QUOTES = PublicTable(MARKET_QUOTES, "quote:", _as_it_is)
BOARDS = PublicTable(LEADERBOARDS, "scanners:", _entries)
TABLES = (QUOTES, BOARDS)


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
