"""Aggregates -> the row of each symbol, and what its partition ranks best."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Any

import msgspec

import tables
from app import clock
from app.kafka import topics
from app.main import app, settings
from app.market.boards import PartitionBoards
from app.market.bounds import received_ns
from app.market.events import Aggregate, MinuteAggregate
from app.market.quotes import Lateness, QuoteState, accumulate, finish, lateness, state_of
from app.market.rows import QuoteRow
from app.market.whole_numbers import decoder_of
from app.observability import left_out
from app.stream import PartitionView, RecordBatch
from app.stream.sending import send_records
from tables.receipts import limits_ms
from tables.test_symbols import unseen_in

#: A partition hands everything over this often, for a merge that starts afresh. (After a rebalance, which is what
#: moves the merge, all do so at once.) For 12,000 symbols that is a tenth of what changes in a busy second.
BEGIN_ANEW_S = 10.0

#: Partitions hand over more often than boards are published: a row would wait for two whole intervals else.
HAND_OVERS_PER_PUBLICATION = 4

calendar = clock.trading_calendar()
_decode = decoder_of(list[Aggregate | MinuteAggregate])
_encode = msgspec.json.Encoder().encode


def fold_aggregates(view: PartitionView[QuoteRow], batch: RecordBatch) -> None:
    """Fold a batch: every aggregate counts, the row of a touched symbol is derived once."""
    states: dict[str, QuoteState] = {}
    newest: dict[str, int] = {}
    counted = Counter[Lateness]()
    for index, (event, limit_ms) in enumerate(zip(batch.decoded(_decode), limits_ms(batch), strict=True)):
        symbol = event.symbol or ""
        before = states.get(symbol)
        if before is None and (row := view.get(symbol)) is not None:
            before = state_of(row)
        after = accumulate(before, event, calendar, limit_ms)
        if (late := lateness(before, event, after)) is not None:
            counted[late] += 1
        if after is not None:
            states[symbol] = after
            if after.last is event:
                newest[symbol] = index
    references = _references(view.partition)
    for symbol, state in states.items():
        place, reference = newest.get(symbol), references.get(symbol)
        if place is not None:
            received = batch.header(place, topics.RECEIVED_NS_HEADER)
            view[symbol] = finish(state, reference, received_ns(received))
        elif (row := view.get(symbol)) is not None:
            # Late bars alone: the last one was received when it was.
            found = finish(state, reference, row.received_ns)
            if found != row:
                view[symbol] = found
    left_out.late(batch.topic, counted.pop(Lateness.OTHER_DAY, 0))
    left_out.late_bars(counted)


def _references(partition: int) -> Any:
    owned = tables.reference.owned.get(partition)
    return {} if owned is None else owned.rows


class Boards:
    """The parts of the boards that this worker's partitions have; they follow the rows of the table."""

    def __init__(self) -> None:
        self.parts: dict[int, PartitionBoards] = {}
        self._whole_s: dict[int, float] = {}

    def taken(self, partition: int) -> None:
        """The rows of a partition are there."""
        part = self.parts[partition] = PartitionBoards(partition, clock.wall_ns())
        part.follow(_ranked(partition, tables.quotes.owned[partition].rows))
        self._whole_s[partition] = clock.monotonic_s()

    def lost(self, partition: int) -> None:
        """The rows of a partition are gone."""
        self.parts.pop(partition, None)

    def follow(self, partition: int, changes: Mapping[str, QuoteRow | None]) -> None:
        """Rows have changed."""
        part = self.parts.get(partition)
        if part is not None:
            part.follow(_ranked(partition, changes))

    def begin_anew(self) -> None:
        """Have all partitions hand everything over: the merge may be another's now."""
        for part in self.parts.values():
            part.begin_anew()

    def hand_over(self, partition: int) -> bytes | None:
        """What a partition has to hand over now, None where there is nothing."""
        part, now_s = self.parts.get(partition), clock.monotonic_s()
        if part is None:
            return None
        if now_s - self._whole_s[partition] >= BEGIN_ANEW_S:
            self._whole_s[partition] = now_s
            part.begin_anew()
        found = part.hand_over(app.consumer_generation_id, clock.wall_ns())
        return None if found is None else _encode(found)


def _ranked(partition: int, changes: Mapping[str, QuoteRow | None]) -> dict[str, QuoteRow | None]:
    is_unseen = unseen_in(partition)
    return {symbol: None if is_unseen(symbol) else row for symbol, row in changes.items()}


boards = Boards()
tables.quotes.on_ready, tables.quotes.on_lost, tables.quotes.on_change = boards.taken, boards.lost, boards.follow


@app.on_partitions_assigned.connect
async def _begin_anew(*_: Any, **__: Any) -> None:
    boards.begin_anew()


@app.agent(tables.aggregates, name="quotes")
async def quotes(stream: Any) -> None:
    """Fold each batch of aggregates into its partition's rows."""
    async for event in stream.events():
        await tables.quotes.fold(event.value, fold_aggregates, event.message)


@app.timer(settings.publish_interval_ms / 1000 / HAND_OVERS_PER_PUBLICATION)
async def hand_over_boards() -> None:
    """Hand over what changed of the rows that the boards need."""
    records: list[tuple[bytes, bytes]] = []
    for partition in list(boards.parts):
        found = boards.hand_over(partition)
        if found is not None:
            records.append((b"%d" % partition, found))
            # Batches that wait go on in between.
            await asyncio.sleep(0)
    # The record is of all partitions: of several traces one goes on.
    traces = [tables.quotes.traced.pop(partition) for partition in list(tables.quotes.traced)]
    if records:
        topic, trace = topics.BOARD_ROWS.name, traces[0] if traces else None
        await send_records(app, topic, tables.BOARDS_PLACE, records, trace)
