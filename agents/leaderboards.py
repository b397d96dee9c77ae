"""What the partitions hand over -> the boards of the whole market."""

from collections import deque
from typing import Any

import msgspec
import structlog

import tables
from app import clock
from app.main import app, settings
from app.market.boards import HandedRow, MergedBoards
from app.market.handover import HandOver
from app.observability.tracing import MOST_LINKS

log = structlog.get_logger(__name__)

#: How long a merge that starts afresh waits for partitions that it has not heard of: they begin anew at least twice
#: in it. A board without some of them would look like a market that shrank.
COMPLETE_WITHIN_S = 25.0

_decode = msgspec.json.Decoder(HandOver[HandedRow]).decode


class Merge:
    """The boards while this worker has the place at which they are merged, and when it began."""

    def __init__(self) -> None:
        self.boards = MergedBoards(tables.PARTITIONS)
        self.began_s = clock.monotonic_s()
        #: Traces that the hand-overs brought since boards were published last.
        self.traces: deque[bytes] = deque(maxlen=MOST_LINKS)

    def publishable(self) -> bool:
        """Whether what is known may stand for the market."""
        return self.boards.complete or clock.monotonic_s() - self.began_s >= COMPLETE_WITHIN_S


class Place:
    """The merge of the worker that has the place, None for all others."""

    def __init__(self) -> None:
        self.merge: Merge | None = None

    def taken(self, partition: int) -> None:
        """The table's partition is ours: begin afresh."""
        if partition == tables.BOARDS_PLACE:
            self.merge = Merge()

    def lost(self, partition: int) -> None:
        """The boards are merged elsewhere now: what is known here grows old."""
        if partition == tables.BOARDS_PLACE:
            self.merge = None


place = Place()
tables.leaderboards.on_ready, tables.leaderboards.on_lost = place.taken, place.lost


@app.agent(tables.board_rows, name="leaderboards")
async def leaderboards(stream: Any) -> None:
    """Take in what the partitions hand over, in Kafka's order."""
    async for batch in stream:
        merge = place.merge
        if merge is not None and batch.partition == tables.BOARDS_PLACE:
            merge.traces.extend(batch.traces)
            for value in batch.values:
                if value is not None:
                    merge.boards.take(_decode(value))


@app.timer(settings.publish_interval_ms / 1000)
async def publish_boards() -> None:
    """Publish the boards that changed, at most once an interval."""
    merge = place.merge
    if merge is None or not merge.publishable():
        return
    traces = tuple(merge.traces)
    merge.traces.clear()
    for board in merge.boards.to_publish(clock.wall_ns()):
        await tables.leaderboards.write(tables.BOARDS_PLACE, {board.board: board}, traces)
        if place.merge is not merge:
            return
