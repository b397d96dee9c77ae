"""Trades -> the windows of each symbol, and every few seconds the statistics of a partition's windows."""

import asyncio
from typing import Any

import msgspec

import tables
from app import clock
from app.main import app, settings
from app.market.trade_tape import PartitionWindows

#: The partition in which the windows of all partitions are merged.
PLACE = tables.PARTITIONS - 1

#: Statistics computed before batches that wait may go on: 1 ms.
REFRESHED_AT_ONCE = 50

_encode = msgspec.json.Encoder().encode


@app.agent(tables.trades, name="trade_tape")
async def trade_tape(stream: Any) -> None:
    """Fold each batch of trades into its partition's windows."""
    async for event in stream.events():
        await tables.trade_tape.fold_events(event.value, event.message)


@app.timer(settings.trade_windows_interval_s)
async def hand_over_windows() -> None:
    """Hand the statistics of each owned partition to the merge."""
    for partition, state in list(tables.trade_tape.folded.items()):
        for _ in range(0, len(state.windows), REFRESHED_AT_ONCE):
            state.refresh(REFRESHED_AT_ONCE)
            await asyncio.sleep(0)
        if partition not in tables.trade_tape.folded:
            continue
        symbols = dict(state.statistics())
        found = PartitionWindows(partition, clock.wall_ns(), symbols, state.details())
        await tables.partition_windows.send(key=b"%d" % partition, value=_encode(found), partition=PLACE)
        await asyncio.sleep(0)
