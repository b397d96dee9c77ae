"""Trades -> the windows of each symbol, and every few seconds the statistics of a partition's windows."""

import asyncio
from typing import Any

import msgspec

import tables
from app import clock
from app.kafka import topics
from app.main import app, settings
from app.market.handover import HandingOver
from app.market.trade_tape import TapePartition
from app.market.window_merge import HandedWindow
from app.stream import RecordBatch
from app.stream.sending import send_records
from tables.receipts import limits_ms

#: Statistics computed before batches that wait may go on: 1 ms.
REFRESHED_AT_ONCE = 50

#: Hand-overs of a partition after which everything is handed over again, for a merge that starts afresh.
BEGIN_ANEW_EVERY = 4

_encode = msgspec.json.Encoder().encode


class Windows:
    """What was handed over of each partition's windows; of a state that is another by now, nothing."""

    def __init__(self) -> None:
        self._parts: dict[int, tuple[TapePartition, HandingOver[HandedWindow]]] = {}
        self._round = 0

    def begin_anew(self) -> None:
        """Have all partitions hand everything over: the merge may be another's now."""
        self._parts.clear()

    def owned(self) -> list[tuple[int, TapePartition]]:
        """The partitions of a round, with their states."""
        self._round += 1
        return list(tables.trade_tape.folded.items())

    def hand_over(self, partition: int, state: TapePartition) -> bytes | None:
        """What a partition has to hand over now; None where there is nothing, or the state is another's now."""
        if tables.trade_tape.folded.get(partition) is not state:
            return None
        known, part = self._parts.get(partition, (None, None))
        if part is None or known is not state:
            part = HandingOver[HandedWindow](partition, clock.wall_ns())
            self._parts[partition] = (state, part)
        if (self._round + partition) % BEGIN_ANEW_EVERY == 0:
            part.begin_anew()
        found = part.take(state.handed(), app.consumer_generation_id, clock.wall_ns())
        return None if found is None else _encode(found)


windows = Windows()


@app.on_partitions_assigned.connect
async def _begin_anew(*_: Any, **__: Any) -> None:
    windows.begin_anew()


def drop_windows_to_come(batch: RecordBatch) -> None:
    """Drop a partition's windows of a time that is after every receipt: of before there was a bound."""
    state = tables.trade_tape.folded.get(batch.partition)
    if state is not None and len(batch):
        state.drop_later_than(max(limits_ms(batch)))


@app.agent(tables.trades, name="trade_tape")
async def trade_tape(stream: Any) -> None:
    """Fold each batch of trades into its partition's windows."""
    async for event in stream.events():
        drop_windows_to_come(event.value)
        await tables.trade_tape.fold_events(event.value, event.message)


@app.timer(settings.trade_windows_interval_s)
async def hand_over_windows() -> None:
    """Hand the statistics that changed in each owned partition to the merge."""
    for partition, state in windows.owned():
        for _ in range(0, len(state.windows), REFRESHED_AT_ONCE):
            state.refresh(REFRESHED_AT_ONCE)
            await asyncio.sleep(0)
        found = windows.hand_over(partition, state)
        if found is not None:
            key = b"%d" % partition
            await send_records(app, topics.WINDOW_STATISTICS.name, tables.WINDOWS_PLACE, [(key, found)])
