"""What the partitions hand over -> the boards of the whole market."""

from collections import deque
from typing import Any

import msgspec

import tables
from app import clock
from app.main import app, settings
from app.market.boards import HandedRow, MergedBoards
from app.market.handover import HandOver, MergePlace
from app.observability.tracing import MOST_LINKS

#: How long a merge that starts afresh waits for partitions that it has not heard of: they begin anew at least twice
#: in it. A board without some of them would look like a market that shrank.
COMPLETE_WITHIN_S = 25.0

_decode = msgspec.json.Decoder(HandOver[HandedRow]).decode


place = MergePlace(tables.BOARDS_PLACE, lambda: MergedBoards(tables.PARTITIONS), COMPLETE_WITHIN_S)
#: Traces that the hand-overs brought since boards were published last.
traces: deque[bytes] = deque(maxlen=MOST_LINKS)


def _taken(partition: int) -> None:
    traces.clear()
    place.taken(partition, clock.monotonic_s())


tables.leaderboards.on_ready, tables.leaderboards.on_lost = _taken, place.lost


@app.agent(tables.board_rows, name="leaderboards")
async def leaderboards(stream: Any) -> None:
    """Take in what the partitions hand over, in Kafka's order."""
    async for batch in stream:
        if place.merge is not None and batch.partition == place.partition:
            traces.extend(batch.traces)
        for value in batch.values:
            if value is not None:
                place.take(batch.partition, _decode(value))


@app.timer(settings.publish_interval_ms / 1000)
async def publish_boards() -> None:
    """Publish the boards that changed, at most once an interval."""
    boards = place.publishable(clock.monotonic_s())
    if boards is None:
        return
    links = tuple(traces)
    traces.clear()
    for board in boards.to_publish(clock.wall_ns()):
        await tables.leaderboards.write(place.partition, {board.board: board}, links)
        if place.merge is not boards:
            return
