"""REST of the tables beside boards and quotes: trade windows, best bid and offer, halts, daily ranges, alerts."""

from collections.abc import Iterable
from itertools import islice
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query, Response

from app.gateway.gateway import Gateway
from app.gateway.http.rest import (
    EXAMPLE_ROW,
    After,
    Limit,
    PageSize,
    Reads,
    Symbols,
    example,
    json_response,
    page_example,
    page_of,
    row_of,
    symbol_of,
)
from app.gateway.protocol.feeds import ALL_WINDOWS, DAILY_RANGES, HALTS, NBBO, TRADE_WINDOWS
from app.gateway.protocol.problems import Problem, response_of
from app.gateway.tables.documents import array, first
from app.market.alerts import AlertKind

EXAMPLE_WINDOW: dict[str, Any] = {
    "timestamp": "2026-11-20T15:00:01.512+00:00", "symbol": "AAPL", "total_volume": 91200, "trade_count": 1000,
    "avg_size": 91.2, "max_size": 5000, "time_span_ms": 21950, "latest_price": 272.4,
    "latest_timestamp": 1795186801500, "latest_exchange": 11, "bid_volume": 40100, "ask_volume": 48300,
    "trades_per_minute": 2733.49, "usual_trades_per_minute": 1210.5, "relative_trade_rate": 2.26,
    "largest_prints": [{"price": 272.35, "size": 5000, "timestamp": 1795186799100, "exchange": 4, "side": "bid"}],
}  # fmt: skip
EXAMPLE_TRADE: dict[str, Any] = {
    "symbol": "AAPL", "price": 272.4, "size": 100, "timestamp": 1795186801500, "sequence_number": 48113, "exchange": 11,
    "tape": 3, "id": "52983525029461", "conditions": [14, 41], "trf_id": 0, "trf_timestamp": 0, "side": "ask",
    "counts_volume": True, "sets_high_low": True, "sets_last": True,
    "condition_names": ["Intermarket Sweep", "Trade Thru Exempt"], "exchange_name": "NYSE Arca", "event_type": "T",
}  # fmt: skip
EXAMPLE_NBBO: dict[str, Any] = {
    "symbol": "AAPL", "bid_price": 272.39, "bid_size": 200, "bid_exchange": 11, "ask_price": 272.41, "ask_size": 100,
    "ask_exchange": 12, "spread": 0.02, "mid": 272.4, "timestamp": 1795186801500,
    "sequence_number": 48112, "received_ns": 1795186801512345678,
}  # fmt: skip
EXAMPLE_HALT: dict[str, Any] = {
    "symbol": "AAPL", "upper_band": 286.0, "lower_band": 258.8, "indicators": [17], "timestamp": 1795186801500,
    "sequence_number": 7, "halted_since": 1795186801500, "reason": "trading halt or pause", "resumed_at": None,
    "day": "2026-11-20", "tape": 3, "halts_told": True,
}  # fmt: skip
EXAMPLE_RANGE: dict[str, Any] = EXAMPLE_ROW | {
    "pre_market_high": 271.3, "pre_market_low": 269.9, "regular_session_high": 272.41, "regular_session_low": 270.88,
    "after_hours_high": None, "after_hours_low": None,
}  # fmt: skip
EXAMPLE_ALERT: dict[str, Any] = {
    "key": "AAPL/new_high/regular/1795186801500/272.41", "symbol": "AAPL", "kind": "new_high",
    "timestamp": 1795186801500, "value": 272.41, "note": "Broke pre-market high of $271.30", "session": "regular",
    "previous": 272.38, "row": EXAMPLE_ROW, "late": False, "day": "2026-11-20",
}  # fmt: skip

router = APIRouter(prefix="/api", responses=response_of(401, "No API key, or a wrong one"))
UNKNOWN = response_of(404, "There is nothing of the symbol")


def _one(row: bytes | None, symbol: str, lacking: str) -> Response:
    if row is None:
        raise Problem(404, "unknown-symbol", f"{lacking} {symbol!r}")
    return json_response(row)


class _Volume(msgspec.Struct):
    total_volume: float


class _Summary(msgspec.Struct):
    timestamp: msgspec.Raw
    symbols: dict[str, msgspec.Raw]


_volume, _summary = msgspec.json.Decoder(_Volume), msgspec.json.Decoder(_Summary)


@router.get(
    "/trade-windows",
    tags=["trade windows"],
    responses=example("The busiest", {"count": 512, "trade_windows": [EXAMPLE_WINDOW]}),
)
async def list_trade_windows(gateway: Reads, limit: Limit = None) -> Response:
    """Statistics of the busiest symbols' windows, largest volume first; `count` is the number of all windows."""
    rows = [record.value for record in gateway.view.rows(TRADE_WINDOWS) if record.key != ALL_WINDOWS and record.value]
    rows.sort(key=lambda row: -_volume.decode(row).total_volume)
    summary = _summary_of(gateway)
    count = len(rows if summary is None else summary.symbols)
    return json_response(b'{"count":%d,"trade_windows":%s}' % (count, array(rows[:limit])))


@router.get(
    "/trade-windows/{symbol}", tags=["trade windows"], responses=example("The window", EXAMPLE_WINDOW) | UNKNOWN
)
async def get_trade_window(gateway: Reads, symbol: str) -> Response:
    """Statistics of a symbol's window: of one that is not among the busiest, as the summary has them."""
    row = None if symbol == ALL_WINDOWS else row_of(gateway, TRADE_WINDOWS, symbol)
    summary = _summary_of(gateway) if row is None else None
    if summary is not None:
        name = symbol if symbol in summary.symbols else symbol_of(gateway, symbol)
        statistics = summary.symbols.get(name)
        if statistics is not None:
            head = b'{"timestamp":%s,"symbol":%s,' % (bytes(summary.timestamp), msgspec.json.encode(name))
            row = head + bytes(statistics).lstrip()[1:]
    return _one(row, symbol, "there was no trade in the last five minutes of")


def _summary_of(gateway: Gateway) -> _Summary | None:
    record = gateway.view.get(TRADE_WINDOWS, ALL_WINDOWS)
    return None if record is None or record.value is None else _summary.decode(record.value)


@router.get(
    "/trades/{symbol}",
    tags=["trade windows"],
    responses=example("The tape", {"symbol": "AAPL", "count": 1, "complete": True, "trades": [EXAMPLE_TRADE]})
    | UNKNOWN
    | response_of(503, "The tape is still being read; `detail` says how far it is"),
)
async def get_trades(
    gateway: Reads,
    symbol: str,
    limit: Annotated[int, Query(ge=1, le=1000, description="At most so many.")] = 100,
) -> Response:
    """The last trades of a symbol, newest first, of the 1,000 that are kept until 5 minutes after the last one.

    All prints are listed; `counts_volume`, `sets_high_low` and `sets_last` say what each counts for by its conditions.
    `complete` is false where memory did not do for all of the 1,000.
    """
    tape = await gateway.tape.view()
    name, trades = symbol, tape.trades(symbol, limit, gateway.conditions)
    if not trades:
        name = symbol_of(gateway, symbol)
        trades = tape.trades(name, limit, gateway.conditions)
    body = {"symbol": name, "count": len(trades), "complete": tape.whole(name), "trades": trades}
    return _one(msgspec.json.encode(body) if trades else None, symbol, "there was no trade in the last five minutes of")


@router.get("/nbbo", tags=["quotes"], responses=page_example(NBBO, EXAMPLE_NBBO))
async def list_nbbo(gateway: Reads, symbols: Symbols = None, after: After = None, limit: PageSize = 1000) -> Response:
    """The last best bid and offer of symbols, by symbol."""
    return page_of(gateway, NBBO, symbols, after, limit)


@router.get("/nbbo/{symbol}", tags=["quotes"], responses=example("The row", EXAMPLE_NBBO) | UNKNOWN)
async def get_nbbo(gateway: Reads, symbol: str) -> Response:
    """The last best bid and offer of a symbol."""
    return _one(row_of(gateway, NBBO, symbol), symbol, "there is no bid and offer of")


@router.get("/halts", tags=["halts"], responses=page_example(HALTS, EXAMPLE_HALT))
async def list_halts(
    gateway: Reads,
    halted: Annotated[bool, Query(description="Only what is halted now, the newest first.")] = False,
    symbols: Symbols = None,
    after: After = None,
    limit: PageSize = 1000,
) -> Response:
    """Price bands and halts of symbols, by symbol.

    Of symbols that are not listed on Nasdaq (`halts_told` false) the vendor sends bands and no halts: that one is not
    halted here says nothing.
    """
    if not halted:
        return page_of(gateway, HALTS, symbols, after, limit)
    listing = gateway.view.halted.listing
    count = len(gateway.view.halted)
    rows = first(listing.document(), limit)
    return json_response(b'{"count":%d,"halts":%s,"next":null}' % (count, rows))


@router.get("/halts/{symbol}", tags=["halts"], responses=example("The row", EXAMPLE_HALT) | UNKNOWN)
async def get_halt(gateway: Reads, symbol: str) -> Response:
    """A symbol's price bands, and since when and why it is halted; `halts_told`: whether its halts are told at all."""
    return _one(row_of(gateway, HALTS, symbol), symbol, "no price bands were heard of")


@router.get("/daily-ranges", tags=["daily ranges"], responses=page_example(DAILY_RANGES, EXAMPLE_RANGE))
async def list_daily_ranges(
    gateway: Reads, symbols: Symbols = None, after: After = None, limit: PageSize = 1000
) -> Response:
    """Quote rows with the high and low of each session of the day, by symbol."""
    return page_of(gateway, DAILY_RANGES, symbols, after, limit)


@router.get("/daily-ranges/{symbol}", tags=["daily ranges"], responses=example("The row", EXAMPLE_RANGE) | UNKNOWN)
async def get_daily_range(gateway: Reads, symbol: str) -> Response:
    """A symbol's quote row with the high and low of each session of its day."""
    return _one(row_of(gateway, DAILY_RANGES, symbol), symbol, "there is no range of a day of")


@router.get("/alerts", tags=["alerts"], responses=example("The newest alerts", {"alerts": [EXAMPLE_ALERT]}))
async def list_alerts(
    gateway: Reads,
    symbol: Annotated[str | None, Query(description="Only those of this symbol.")] = None,
    kind: Annotated[AlertKind | None, Query(description="Only those of this kind.")] = None,
    day: Annotated[
        str | None,
        Query(description="Those of this trading day instead of the current one.", pattern=r"^\d{4}-\d{2}-\d{2}$"),
    ] = None,
    limit: Annotated[int, Query(ge=1, le=10_000, description="At most so many.")] = 200,
) -> Response:
    """The newest alerts of the trading day, newest first, each once; of the newest 10,000 that the gateway keeps.

    `late` ones are by a bar that came after later ones of its symbol: a late print changed it.
    """
    wanted = None if symbol is None else symbol_of(gateway, symbol)
    found: Iterable[bytes] = (
        entry
        for alert, entry in gateway.view.alerts.of_day(day)
        if (wanted is None or alert.symbol == wanted) and (kind is None or alert.kind == kind)
    )
    return json_response(b'{"alerts":%s}' % array(islice(found, limit)))
