"""Every Faust topic and table, declared once from `app.topics`."""

from collections.abc import Mapping

import msgspec

from app import topics
from app.main import app, settings
from app.market.boards import Leaderboard
from app.market.daily_alerts import RangeRow
from app.market.events import Reference
from app.market.halts import HaltState
from app.market.nbbo import Nbbo
from app.market.rows import QuoteRow
from app.market.trade_tape import AllWindows, SymbolWindow, TapePartition, WindowTrade
from app.stream import BatchedTable, RecordBatchSchema
from app.stream.announced import AnnouncingTable
from app.stream.dead_letters import DeadLetterWriter
from app.stream.folded import FoldedTable

_encode = msgspec.json.Encoder().encode


def _batched(spec: topics.TopicSpec):  # type: ignore[no-untyped-def]
    return app.topic(spec.name, schema=RecordBatchSchema())


dead_letters = DeadLetterWriter(app, topics.DEAD_LETTERS.name)

aggregates = _batched(topics.AGGREGATES)
raw_reference = _batched(topics.REFERENCE)
trades = _batched(topics.TRADES)
raw_quotes = _batched(topics.QUOTES)
raw_halts = _batched(topics.HALTS)
partition_tops = _batched(topics.PARTITION_TOPS)
partition_windows = _batched(topics.PARTITION_WINDOWS)

#: Reference data of each symbol; null until known.
reference = BatchedTable[Reference](
    app,
    name="reference",
    changelog_topic=_batched(topics.MARKET_REFERENCE),
    sources=[topics.REFERENCE.name],
    encode=_encode,
    decode=msgspec.json.Decoder(Reference).decode,
    dead_letters=dead_letters,
)

#: The row of each symbol; an aggregate changes it, and so does new reference data.
quotes = BatchedTable[QuoteRow](
    app,
    name="quotes",
    changelog_topic=_batched(topics.MARKET_QUOTES),
    sources=[topics.AGGREGATES.name, topics.REFERENCE.name],
    encode=_encode,
    decode=msgspec.json.Decoder(QuoteRow).decode,
    dead_letters=dead_letters,
)

#: The published boards; made anew from the partitions' tops, so it covers no source offset.
leaderboards = BatchedTable[Leaderboard](
    app,
    name="leaderboards",
    changelog_topic=_batched(topics.LEADERBOARDS),
    sources=[],
    encode=_encode,
    decode=msgspec.json.Decoder(Leaderboard).decode,
    dead_letters=dead_letters,
)

#: The last best bid and offer of each symbol.
nbbo = BatchedTable[Nbbo](
    app,
    name="nbbo",
    changelog_topic=_batched(topics.NBBO),
    sources=[topics.QUOTES.name],
    encode=_encode,
    decode=msgspec.json.Decoder(Nbbo).decode,
    dead_letters=dead_letters,
)

#: Price bands and halts of each symbol; announces halts and resumptions.
halts = AnnouncingTable[HaltState](
    app,
    name="halts",
    announces=topics.ALERTS.name,
    changelog_topic=_batched(topics.MARKET_HALTS),
    sources=[topics.HALTS.name],
    encode=_encode,
    decode=msgspec.json.Decoder(HaltState).decode,
    dead_letters=dead_letters,
)

#: The ranges of each symbol's day; announces new extremes and thresholds reached.
daily_ranges = AnnouncingTable[RangeRow](
    app,
    name="daily_ranges",
    announces=topics.ALERTS.name,
    changelog_topic=_batched(topics.DAILY_RANGES),
    sources=[topics.AGGREGATES.name],
    encode=_encode,
    decode=msgspec.json.Decoder(RangeRow).decode,
    dead_letters=dead_letters,
)


def _quotes_of(partition: int) -> Mapping[str, Nbbo]:
    owned = nbbo.owned.get(partition)
    return {} if owned is None else owned.rows


#: The last 1,000 trades of each symbol, in chunks; the side of each by the quote that was known then.
trade_tape = FoldedTable[WindowTrade](
    app,
    name="trade_tape",
    make=lambda partition: TapePartition(lambda: _quotes_of(partition)),
    decode_events=msgspec.json.Decoder(list[WindowTrade]).decode,
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

PARTITIONS = settings.partitions
