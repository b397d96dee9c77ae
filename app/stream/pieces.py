"""How many records are folded into one flush, where nobody can tell beforehand how large their rows become.

State that is changed in place cannot be taken back: the rows of a piece have to fit one record batch, since a flush is
one. So pieces begin with one record after each start, and grow for as long as their rows are small.
"""

from typing import Final

from app.stream.partition import MAX_FLUSH_BYTES

#: A piece has at most so many times the records of the one before it, and its rows that much room to spare.
GROWTH: Final = 4


class Pieces:
    """The size of a partition's next piece, at most `most` records.

    With pieces of up to 4,000 records, rows of which one record changes more than four times as much as those of the
    piece before it may still not fit. The worker ends then, and starts again with a piece of one record, from where
    that piece began: it gets through where rows of one record fit.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.records = 1

    def written(self, records: int, row_bytes: int) -> None:
        """The rows that so many records changed were of so many bytes, and fit."""
        room = MAX_FLUSH_BYTES * records // (GROWTH * max(1, row_bytes))
        self.records = max(1, min(self.most, room, GROWTH * max(self.records, records)))
