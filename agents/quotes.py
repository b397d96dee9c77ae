"""Aggregates -> the row of each symbol, and what its partition ranks best."""

import asyncio
from collections.abc import Iterator
from typing import Any

import msgspec
import structlog

import tables
from app import clock
from app.kafka import topics
from app.main import app, settings
from app.market.boards import PartitionTops, TopEntry
from app.market.calendar import TradingCalendar
from app.market.events import Aggregate, MinuteAggregate
from app.market.quotes import QuoteState, accumulate, finish, state_of
from app.market.ranking import BOARDS, PartitionRanking
from app.market.rows import QuoteRow
from app.stream import PartitionView, RecordBatch
from app.stream.sending import send_records

log = structlog.get_logger(__name__)

#: A partition says what it ranks best at least this often, so that a merge that starts afresh
#: knows all partitions within this time.
REPEAT_TOPS_S = 5.0

#: Partitions hand over more often than boards are published: a row would wait for two whole intervals else.
TOPS_PER_PUBLICATION = 4

calendar = TradingCalendar()
_decode = msgspec.json.Decoder(list[Aggregate | MinuteAggregate]).decode
_encode = msgspec.json.Encoder().encode
_rankings: dict[int, PartitionRanking] = {}
_published_s: dict[int, float] = {}
_changed: set[int] = set()


def fold_aggregates(view: PartitionView[QuoteRow], batch: RecordBatch) -> None:
    """Fold a batch: every aggregate counts, the row of a touched symbol is derived once."""
    states: dict[str, QuoteState] = {}
    newest: dict[str, int] = {}
    events = batch.decoded(_decode)
    for index, event in enumerate(events):
        symbol = event.symbol or ""
        before = states.get(symbol)
        if before is None and (row := view.get(symbol)) is not None:
            before = state_of(row)
        after = accumulate(before, event, calendar, None)
        if after is not None:
            states[symbol], newest[symbol] = after, index
    references = _references(view.partition)
    for symbol, state in states.items():
        received = batch.header(newest[symbol], topics.RECEIVED_NS_HEADER)
        row = finish(state, references.get(symbol))
        view[symbol] = msgspec.structs.replace(row, received_ns=int(received)) if received else row


def _references(partition: int) -> Any:
    owned = tables.reference.owned.get(partition)
    return {} if owned is None else owned.rows


def rank(partition: int, changes: dict[str, QuoteRow | None]) -> None:
    """Let changed rows count in the partition's ranking."""
    ranking = _rankings.get(partition)
    if ranking is None or not changes:
        return
    for symbol, row in changes.items():
        if row is None:
            ranking.remove(symbol)
        else:
            ranking.update(row)
    _changed.add(partition)


def _on_ready(partition: int) -> None:
    ranking = _rankings[partition] = PartitionRanking()
    for row in tables.quotes.owned[partition].rows.values():
        ranking.update(row)
    _changed.add(partition)


def _on_lost(partition: int) -> None:
    _rankings.pop(partition, None)
    _changed.discard(partition)


tables.quotes.on_ready = _on_ready
tables.quotes.on_lost = _on_lost


@app.agent(tables.aggregates, name="quotes")
async def quotes(stream: Any) -> None:
    """Fold each batch of aggregates into its partition's rows."""
    async for event in stream.events():
        batch = event.value
        rank(batch.partition, await tables.quotes.fold(batch, fold_aggregates, event.message))


@app.timer(settings.publish_interval_ms / 1000 / TOPS_PER_PUBLICATION)
async def publish_tops() -> None:
    """Hand over what owned partitions rank best: on change, and repeated now and then."""
    now_s = clock.monotonic_s()
    records: dict[int, list[tuple[bytes, bytes]]] = {}
    for partition, ranking in list(_rankings.items()):
        if partition in _changed or now_s - _published_s.get(partition, 0.0) >= REPEAT_TOPS_S:
            _changed.discard(partition)
            _published_s[partition] = now_s
            for board, tops in _tops(partition, ranking):
                key = f"{tops.board}/{partition}".encode()
                records.setdefault(board % tables.PARTITIONS, []).append((key, _encode(tops)))
                # Batches that wait go on in between: all boards at once would hold them up for 40 ms.
                await asyncio.sleep(0)
                if partition not in tables.quotes.owned:
                    break
    topic = topics.PARTITION_TOPS.name
    # Each place's records come of all partitions: of several traces one goes on.
    traces = [tables.quotes.traced.pop(partition) for partition in list(tables.quotes.traced)]
    trace = traces[0] if traces else None
    await asyncio.gather(*(send_records(app, topic, place, found, trace) for place, found in records.items()))


def _tops(partition: int, ranking: PartitionRanking) -> Iterator[tuple[int, PartitionTops]]:
    rows = tables.quotes.owned[partition].rows
    encoded: dict[str, msgspec.Raw] = {}
    for index, board in enumerate(BOARDS):
        # Between two boards batches are folded: a day may have begun.
        day, opened = ranking.phase
        entries = []
        for symbol, score in ranking.tops(board):
            if symbol not in encoded:
                encoded[symbol] = msgspec.Raw(_encode(rows[symbol]))
            entries.append(TopEntry(symbol, score, encoded[symbol]))
        yield index, PartitionTops(board.name, partition, day, opened, clock.wall_ns(), entries)
