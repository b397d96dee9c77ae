"""The leaderboards: what a partition hands over for them, how they are merged, what is published."""

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from app.market.handover import HandingOver, HandOver, Merged
from app.market.ranking import BOARDS, Board, Ranking
from app.market.rows import QuoteRow

#: Entries of a board.
BOARD_SIZE: Final = 500

_encode = msgspec.json.Encoder().encode


class HandedRow(QuoteRow, frozen=True, array_like=True, gc=False):
    """A quote row as it is handed over: its values without their names, a third of the bytes."""


class Leaderboard(msgspec.Struct, frozen=True):
    """A record of `market.leaderboards`: rows ranked from 1, each a quote row with its rank."""

    board: str
    day: str
    published_ns: int
    entries: list[msgspec.Raw]


class PartitionBoards:
    """A partition's part of the boards: its rows ranked, and what of them the merge has to know.

    `first` is the number of its first hand-over, as for `HandingOver`.
    """

    def __init__(self, partition: int, first: int = 0) -> None:
        self._ranking = Ranking()
        self._handing_over = HandingOver[QuoteRow](partition, first)
        self._changed = True

    def follow(self, changes: Mapping[str, QuoteRow | None]) -> None:
        """Let changed rows count (None: gone)."""
        self._ranking.follow(changes)
        self._changed = True

    def begin_anew(self) -> None:
        """Hand everything over next time."""
        self._handing_over.begin_anew()
        self._changed = True

    def hand_over(self, generation: int, now_ns: int) -> HandOver[HandedRow] | None:
        """The rows that a board may need and that changed since the last call; None: nothing has."""
        if not self._changed:
            return None
        self._changed = False
        found = self._handing_over.take(self._ranking.candidates(BOARD_SIZE), generation, now_ns)
        if found is None:
            return None
        items = {key: None if row is None else HandedRow(*_values(row)) for key, row in found.items.items()}
        return HandOver(found.partition, found.generation, found.number, found.whole, found.published_ns, items)


class MergedBoards:
    """The boards of the whole market from the partitions' hand-overs, and which of them are to be published."""

    def __init__(self, partitions: int) -> None:
        self._merged = Merged[HandedRow](partitions)
        self._ranking = Ranking()
        self._published: dict[str, tuple[str, list[QuoteRow]]] = {}
        self._encoded: dict[str, tuple[QuoteRow, bytes]] = {}
        self._changed = False

    @property
    def complete(self) -> bool:
        """Whether every partition was heard of."""
        return self._merged.complete

    @property
    def lost(self) -> set[int]:
        """Partitions of which a hand-over was lost, until they begin anew."""
        return self._merged.lost

    def take(self, found: HandOver[HandedRow]) -> None:
        """Take in the log's next hand-over."""
        changes = self._merged.take(found)
        self._changed |= bool(changes)
        self._ranking.follow({key: None if row is None else QuoteRow(*_values(row)) for key, row in changes.items()})

    def to_publish(self, now_ns: int) -> Iterator[Leaderboard]:
        """The boards that differ from what this gave last, one after the other, each as of when it is asked for."""
        if not self._changed:
            return
        self._changed = False
        for board in BOARDS:
            found = self._board(board)
            if self._published.get(board.name) != found:
                self._published[board.name] = found
                day, rows = found
                entries = [_ranked(rank, self._json(row)) for rank, row in enumerate(rows, 1)]
                yield Leaderboard(board.name, day, now_ns, entries)

    def _board(self, board: Board) -> tuple[str, list[QuoteRow]]:
        ranking = self._ranking
        return ranking.phase[0], [ranking.row(symbol) for symbol, _ in ranking.tops(board, BOARD_SIZE)]

    def _json(self, row: QuoteRow) -> bytes:
        # Rows are values: as long as it is the same one, so is its JSON.
        found = self._encoded.get(row.symbol)
        if found is None or found[0] is not row:
            found = self._encoded[row.symbol] = (row, _encode(row))
        return found[1]


def _ranked(rank: int, row: bytes) -> msgspec.Raw:
    """A row's JSON object with its rank in front."""
    return msgspec.Raw(b'{"rank":%d,' % rank + row[1:])


_values = msgspec.structs.astuple
