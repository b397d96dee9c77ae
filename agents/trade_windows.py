"""The partitions' window statistics -> those of the busiest symbols, and a summary of all."""

from datetime import UTC, datetime
from typing import Any

import msgspec

import tables
from agents.trade_tape import PLACE
from app import clock
from app.main import app, settings
from app.market.trade_tape import AllWindows, PartitionWindows, SymbolWindow, merge_windows

#: The summary's key.
ALL = "*"
#: A symbol that is no longer among the busiest keeps its record this long.
KEPT_S = 60.0
#: A merge that starts afresh waits this long for partitions that it has not heard of.
COMPLETE_WITHIN_S = 3 * settings.trade_windows_interval_s

_decode = msgspec.json.Decoder(PartitionWindows).decode
_heard: dict[int, PartitionWindows] = {}
_first_heard_s: list[float] = []
_written_s: dict[str, float] = {}


@app.agent(tables.partition_windows, name="trade_windows")
async def trade_windows(stream: Any) -> None:
    """Keep what each partition said last."""
    async for batch in stream:
        for value in dict(zip(batch.keys, batch.values, strict=True)).values():
            if value is not None:
                _keep(_decode(value))


def _keep(found: PartitionWindows) -> None:
    if not _first_heard_s:
        _first_heard_s.append(clock.monotonic_s())
    before = _heard.get(found.partition)
    if before is None or found.published_ns >= before.published_ns:
        _heard[found.partition] = found


@app.timer(settings.trade_windows_interval_s)
async def publish_windows() -> None:
    """Publish the summary and the busiest symbols' windows."""
    owned = tables.trade_windows.owned.get(PLACE)
    if owned is None:
        # Merged elsewhere now: what is known here grows old.
        _heard.clear()
        _first_heard_s.clear()
        _written_s.clear()
        return
    now_s = clock.monotonic_s()
    if not _heard or (len(_heard) < tables.PARTITIONS and now_s - _first_heard_s[0] < COMPLETE_WITHIN_S):
        return
    timestamp = datetime.fromtimestamp(clock.wall_ns() / 1e9, UTC).isoformat(timespec="milliseconds")
    summary, busiest = merge_windows(_heard.values(), timestamp)
    changes: dict[str, SymbolWindow | AllWindows | None] = {window.symbol: window for window in busiest}
    for symbol in owned.rows.keys() - changes.keys() - {ALL}:
        if now_s - _written_s.setdefault(symbol, now_s) > KEPT_S:
            changes[symbol] = None
            del _written_s[symbol]
    _written_s.update(dict.fromkeys((window.symbol for window in busiest), now_s))
    await tables.trade_windows.write(PLACE, changes | {ALL: summary})
