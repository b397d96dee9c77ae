"""Filters of subscriptions: what the rows of a feed hold, and the rows of a list that match."""

from functools import lru_cache

import msgspec

from app.gateway.protocol.feeds import is_pattern
from app.gateway.protocol.messages import Options, ProtocolError
from app.gateway.tables.documents import RawRow
from app.market.daily_alerts import AlertRecord
from app.market.daily_ranges import RangeAlert
from app.market.filter_check import Schema, schema_of
from app.market.filters import Filter, FilterError, compile_filter
from app.market.halts import HaltState
from app.market.rows import QuoteRow

#: The feed of scans; `scan:quotes:NAME` is one, too, so that a client can have several.
SCAN = "scan:quotes"

#: Rows that a scan shows: unless asked, and at most.
DEFAULT_ROWS, MAX_ROWS = 100, 500

_QUOTE = schema_of(QuoteRow)
_LISTS: dict[str, Schema] = {
    "scanners:halted": schema_of(HaltState),
    "alerts:latest": schema_of(AlertRecord),
    "daily_range_hod_alert": {**schema_of(RangeAlert), **_QUOTE},
    "daily_range_lod_alert": {**schema_of(RangeAlert), **_QUOTE},
}
_BOARD: Schema = {"rank": "number", **_QUOTE}


def is_scan(feed: str) -> bool:
    """Whether a feed is a scan over all symbols."""
    return feed == SCAN or feed.startswith(f"{SCAN}:")


def schema_for(feed: str) -> Schema | None:
    """The fields that the rows of a list feed can be filtered by; None: the feed is no list."""
    if is_scan(feed):
        return _QUOTE
    return _LISTS.get(feed, _BOARD if feed.startswith("scanners:") else None)


def compiled(feed: str, text: str) -> Filter:
    """The filter of a subscription. Raises `ProtocolError`: the feed has no rows to choose from, or it is no filter."""
    schema = schema_for(feed)
    if schema is None:
        raise ProtocolError(
            "bad_filter", f"filter: {feed} is no list of rows; a filter over all symbols is a subscription of {SCAN}"
        )
    try:
        return _compiled(text, tuple(schema.items()))
    except FilterError as error:
        raise ProtocolError(
            "bad_filter", f"filter: {error}", position=error.position, suggestion=error.suggestion
        ) from None


def fitted(feed: str, options: Options) -> Options:
    """The options as the feed takes them, equal filters equal however they are written.

    Raises `ProtocolError` where the feed does not take them.
    """
    text = options.filter
    if isinstance(text, Filter):
        return options
    if not is_scan(feed):
        if options.sort is not None:
            raise ProtocolError("bad_sort", f"sort: only scans ({SCAN}) are sorted by the gateway, {feed} is none")
        return options if text is None else msgspec.structs.replace(options, filter=compiled(feed, text))
    if is_pattern(feed):
        raise ProtocolError("bad_feed", f"feed: expected the name of one scan, was the pattern {feed}")
    if options.limit is not None and options.limit > MAX_ROWS:
        raise ProtocolError("bad_limit", f"limit: expected at most {MAX_ROWS} rows of a scan, was {options.limit}")
    sort = options.sort or "symbol"
    if sort != "symbol" and sort != "-symbol" and _QUOTE.get(sort.removeprefix("-")) in (None, "string"):
        raise ProtocolError("bad_sort", f"sort: expected symbol or a field of numbers, with - for falling, was {sort}")
    condition = compiled(feed, text or "true")
    return msgspec.structs.replace(options, filter=condition, sort=sort, limit=options.limit or DEFAULT_ROWS)


@lru_cache(maxsize=1000)
def _compiled(text: str, schema: tuple[tuple[str, object], ...]) -> Filter:
    return compile_filter(text, dict(schema))  # type: ignore[arg-type]


def matching(feed: str, condition: Filter, rows: list[RawRow]) -> list[RawRow]:
    """The rows of a list feed that match a filter over them."""
    schema = schema_for(feed)
    assert schema is not None
    values = [{name: _value(row, name, schema[name]) for name in condition.fields} for row in rows]
    chosen = condition.matches_rows(values, schema)
    return [row for row, wanted in zip(rows, chosen, strict=True) if wanted]


_TYPES = {"number": (int, float), "string": (str,), "boolean": (bool,)}


def _value(row: RawRow, name: str, kind: str) -> object:
    raw = row.get(name)
    found = None if raw is None else msgspec.json.decode(raw)
    # A row of another shape has no such field: it is not known, not wrong.
    return found if isinstance(found, _TYPES[kind]) else None
