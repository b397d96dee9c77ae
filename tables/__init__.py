"""Every Faust topic and table, declared once from `app.kafka.topics`."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from app import clock
from app.kafka import topics
from app.main import app, settings
from app.market.boards import Leaderboard
from app.market.bounds import check_time
from app.market.daily_alerts import RangeRow
from app.market.events import Reference
from app.market.halts import HaltState
from app.market.nbbo import Nbbo
from app.market.rows import QuoteRow
from app.market.symbols import Listing
from app.market.trade_conditions import ConditionTable
from app.market.trade_tape import TapePartition, WindowTrade
from app.market.whole_numbers import decoder_of
from app.market.window_merge import AllWindows, SymbolWindow
from app.stream import BatchedTable, RecordBatch, RecordBatchSchema
from app.stream.announced import AnnouncingTable
from app.stream.dead_letters import DeadLetterWriter
from app.stream.folded import FoldedTable
from tables.receipts import limits_ms

Row = TypeVar("Row")

PARTITIONS = settings.partitions

_encode = msgspec.json.Encoder().encode


def _batched(spec: topics.TopicSpec):  # type: ignore[no-untyped-def]
    return app.topic(spec.name, schema=RecordBatchSchema())


dead_letters = DeadLetterWriter(app, topics.DEAD_LETTERS.name)


def _table(spec: topics.TopicSpec, name: str, row: type[Row], *sources: topics.TopicSpec) -> BatchedTable[Row]:
    return BatchedTable(app, **_parts(spec, name, row, sources))


def _announcing(spec: topics.TopicSpec, name: str, row: type[Row], *sources: topics.TopicSpec) -> AnnouncingTable[Row]:
    return AnnouncingTable(app, announces=topics.ALERTS.name, **_parts(spec, name, row, sources))


def _parts(spec: topics.TopicSpec, name: str, row: type[Row], sources: Sequence[topics.TopicSpec]) -> dict[str, Any]:
    return {
        "name": name,
        "changelog_topic": _batched(spec),
        "sources": [source.name for source in sources],
        "encode": _encode,
        "decode": msgspec.json.Decoder(row).decode,
        "dead_letters": dead_letters,
    }


aggregates = _batched(topics.AGGREGATES)
raw_reference = _batched(topics.REFERENCE)
raw_symbols = _batched(topics.SYMBOLS)
#: Both, for one agent.
aggregates_and_references = app.topic(topics.AGGREGATES.name, topics.REFERENCE.name, schema=RecordBatchSchema())
trades = _batched(topics.TRADES)
raw_quotes = _batched(topics.QUOTES)
raw_halts = _batched(topics.HALTS)
board_rows = _batched(topics.BOARD_ROWS)
window_statistics = _batched(topics.WINDOW_STATISTICS)

#: Reference data of each symbol; null until known.
reference = _table(topics.MARKET_REFERENCE, "reference", Reference, topics.REFERENCE)

#: The directory: name, type and listing exchange of each symbol.
symbols = _table(topics.MARKET_SYMBOLS, "symbols", Listing, topics.SYMBOLS)

#: The row of each symbol; an aggregate changes it, and so does new reference data.
quotes = _table(topics.MARKET_QUOTES, "quotes", QuoteRow, topics.AGGREGATES, topics.REFERENCE)

#: The partitions at which the boards are merged, and the windows: one each, on two workers where there are two.
BOARDS_PLACE, WINDOWS_PLACE = 0, PARTITIONS - 1

#: The published boards; made anew from what the partitions hand over, so it covers no source offset.
leaderboards = _table(topics.LEADERBOARDS, "leaderboards", Leaderboard)

#: The last best bid and offer of each symbol.
nbbo = _table(topics.NBBO, "nbbo", Nbbo, topics.QUOTES)

#: Price bands and halts of each symbol; announces halts and resumptions.
halts = _announcing(topics.MARKET_HALTS, "halts", HaltState, topics.HALTS)

#: The ranges of each symbol's day; announces new extremes and thresholds reached.
daily_ranges = _announcing(topics.DAILY_RANGES, "daily_ranges", RangeRow, topics.AGGREGATES, topics.REFERENCE)


def _quotes_of(partition: int) -> Mapping[str, Nbbo]:
    owned = nbbo.owned.get(partition)
    return {} if owned is None else owned.rows


_window_trades = decoder_of(list[WindowTrade])


def _trades_of(batch: RecordBatch) -> list[WindowTrade]:
    trades = batch.decoded(_window_trades)
    for trade, limit_ms in zip(trades, limits_ms(batch), strict=True):
        if trade.timestamp is not None and trade.timestamp > limit_ms:
            check_time(trade.symbol, trade.timestamp, limit_ms)
    return trades


#: What a print counts for by its conditions: the built-in table until the vendor's is there.
conditions = ConditionTable(calendar=clock.trading_calendar())

#: The last 1,000 trades of each symbol, in chunks; the side of each by the quote that was known then.
trade_tape = FoldedTable[WindowTrade](
    app,
    name="trade_tape",
    make=lambda partition: TapePartition(lambda: _quotes_of(partition), conditions),
    decode_events=_trades_of,
    changelog_topic=_batched(topics.TRADE_TAPE),
    sources=[topics.TRADES.name],
    dead_letters=dead_letters,
)

_window, _all_windows = msgspec.json.Decoder(SymbolWindow).decode, msgspec.json.Decoder(AllWindows).decode


def _decode_window(value: bytes) -> SymbolWindow | AllWindows:
    try:
        return _window(value)
    except msgspec.ValidationError:
        return _all_windows(value)


#: Statistics of the busiest windows, and of all under one key; made anew from the partitions' statistics.
trade_windows = BatchedTable[SymbolWindow | AllWindows](
    app,
    name="trade_windows",
    changelog_topic=_batched(topics.TRADE_WINDOWS),
    sources=[],
    encode=_encode,
    decode=_decode_window,
    dead_letters=dead_letters,
)
