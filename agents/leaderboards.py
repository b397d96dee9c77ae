"""The partitions' tops -> the boards of the whole market."""

import asyncio
from collections import deque
from typing import Any

import msgspec
import structlog

import tables
from app import clock
from app.main import app, settings
from app.market.boards import Leaderboard, PartitionTops, ranked
from app.market.ranking import BOARDS, merge_tops
from app.observability.tracing import MOST_LINKS

log = structlog.get_logger(__name__)

#: Entries of a board.
BOARD_SIZE = 500

#: How long a merge that starts afresh waits for partitions that it has not heard of: three of the
#: partitions' repeats, since a board without some of them would look like a market that shrank.
COMPLETE_WITHIN_S = 15.0

_decode = msgspec.json.Decoder(PartitionTops).decode
_tops: dict[str, dict[int, PartitionTops]] = {}
_first_heard_s: dict[str, float] = {}
_changed: set[str] = set()
#: Traces that the tops brought since boards were published last.
_traces: deque[bytes] = deque(maxlen=MOST_LINKS)


@app.agent(tables.partition_tops, name="leaderboards")
async def leaderboards(stream: Any) -> None:
    """Keep each partition's latest tops."""
    async for batch in stream:
        _traces.extend(batch.traces)
        latest = dict(zip(batch.keys, batch.values, strict=True))
        for value in latest.values():
            if value is not None:
                _keep(_decode(value))
                # 500 rows each: batches that wait go on in between.
                await asyncio.sleep(0)


def _keep(tops: PartitionTops) -> None:
    known = _tops.setdefault(tops.board, {})
    _first_heard_s.setdefault(tops.board, clock.monotonic_s())
    before = known.get(tops.partition)
    if before is None or tops.published_ns >= before.published_ns:
        known[tops.partition] = tops
        if before is None or before.entries != tops.entries or (before.day, before.opened) != (tops.day, tops.opened):
            _changed.add(tops.board)


def merged(board: str) -> Leaderboard:
    """The board over all partitions that are known."""
    phase, symbols = merge_tops(
        {
            partition: ((tops.day, tops.opened), [(entry.symbol, entry.score) for entry in tops.entries])
            for partition, tops in _tops[board].items()
        },
        BY_NAME[board],
        BOARD_SIZE,
    )
    rows = {entry.symbol: entry.row for tops in _tops[board].values() for entry in tops.entries}
    return Leaderboard(board, phase[0], clock.wall_ns(), ranked([rows[symbol] for symbol, _ in symbols]))


BY_NAME = {board.name: board for board in BOARDS}
_PLACE = {board.name: index % tables.PARTITIONS for index, board in enumerate(BOARDS)}


@app.timer(settings.publish_interval_ms / 1000)
async def publish_boards() -> None:
    """Publish the boards that changed, at most once an interval."""
    traces = tuple(_traces)
    _traces.clear()
    for board in sorted(_changed):
        partition = _PLACE[board]
        if partition not in tables.leaderboards.owned:
            _forget(board)
            continue
        waited_s = clock.monotonic_s() - _first_heard_s[board]
        if len(_tops[board]) < tables.PARTITIONS and waited_s < COMPLETE_WITHIN_S:
            continue
        _changed.discard(board)
        await tables.leaderboards.write(partition, {board: merged(board)}, traces)


def _forget(board: str) -> None:
    """The board is merged elsewhere now: what is known here grows old."""
    _changed.discard(board)
    _tops.pop(board, None)
    _first_heard_s.pop(board, None)
