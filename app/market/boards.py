"""The leaderboards' records: what a partition hands over, and what is published."""

from collections.abc import Sequence

import msgspec


class TopEntry(msgspec.Struct, frozen=True, array_like=True):
    """A ranked row of a partition: its symbol, its score, and the row as JSON."""

    symbol: str
    score: float
    row: msgspec.Raw


class PartitionTops(msgspec.Struct, frozen=True):
    """The best rows of one partition for one board, best first.

    `day` is the newest trading day that the partition has seen (empty: none), `opened` whether it
    has seen that day's open at 09:30 ET.
    """

    board: str
    partition: int
    day: str
    opened: bool
    published_ns: int
    entries: list[TopEntry]


class Leaderboard(msgspec.Struct, frozen=True):
    """A record of `market.leaderboards`: rows ranked from 1, each a quote row with its rank."""

    board: str
    day: str
    published_ns: int
    entries: list[msgspec.Raw]


def ranked(rows: Sequence[msgspec.Raw]) -> list[msgspec.Raw]:
    """Rows with their rank in front, from 1; a row is a JSON object that is not empty."""
    return [msgspec.Raw(b'{"rank":%d,' % rank + bytes(row)[1:]) for rank, row in enumerate(rows, 1)]
