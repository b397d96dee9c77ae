"""Massive's REST for the whole market: what 36,000 requests by ticker say is in five answers.

Measured by the vendor's sample: a snapshot of 12,000 symbols is 7 MB, a grouped day 1.2 MB. Every failure is a
`RestError`; its kind `plan` says that the key's plan does not include the endpoint.
"""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import TypeVar
from urllib.parse import parse_qsl, urlsplit

import structlog
from msgspec import Raw, Struct, field

from app.errors import UNREADABLE, RestError
from app.market.events import PreviousDay
from app.market.splits import Split, is_sound
from app.market.trade_conditions import Rules
from app.market.whole_numbers import decoder_of
from app.reference.entitlements import Endpoint
from app.reference.records import Kind, TickerSnapshot
from app.reference.rest import MassiveRest

log = structlog.get_logger(__name__)

#: The most rows that the vendor gives in one answer.
RATIOS_PAGE, FLOATS_PAGE, SPLITS_PAGE, TICKERS_PAGE, CONDITIONS_PAGE = 50_000, 5_000, 5_000, 1_000, 1_000

#: Pages of one list before it is given up: 12,000 symbols are three pages of floats.
MOST_PAGES = 100

#: The type of the conditions of trades.
SALE_CONDITION = "sale_condition"

Row = TypeVar("Row")


class Rows(Struct, frozen=True):
    """A page: rows as they were sent, and where the next page is."""

    results: list[Raw] = []
    next_url: str | None = None


class Status(Struct, frozen=True):
    """The market's status; only its time."""

    server_time: str = field(name="serverTime")


class Snapshots(Struct, frozen=True):
    """The answer of the full snapshot."""

    tickers: list[Raw] = []


class RatioRow(Struct, frozen=True):
    """The average volume of a ticker, in shares."""

    ticker: str
    average_volume: float | None = None


class FloatRow(Struct, frozen=True):
    """The free float of a ticker, in shares."""

    ticker: str
    free_float: float | None = None


class GroupedRow(Struct, frozen=True, gc=False):
    """A ticker's bar of a day: US dollars and shares."""

    ticker: str = field(name="T")
    close: float | None = field(default=None, name="c")
    open: float | None = field(default=None, name="o")
    high: float | None = field(default=None, name="h")
    low: float | None = field(default=None, name="l")
    volume: float | None = field(default=None, name="v")
    vwap: float | None = field(default=None, name="vw")

    def as_previous_day(self) -> PreviousDay:
        """The bar as reference data has it."""
        return PreviousDay(self.close, self.open, self.high, self.low, self.volume, self.vwap)


class TickerRow(Struct, frozen=True, gc=False):
    """A ticker of the directory."""

    ticker: str
    name: str | None = None
    type: str | None = None
    primary_exchange: str | None = None
    active: bool = True


class UpdateRules(Struct, frozen=True):
    """Which figures a trade of a condition updates."""

    high_low: bool = field(name="updates_high_low")
    open_close: bool = field(name="updates_open_close")
    volume: bool = field(name="updates_volume")


class Consolidated(Struct, frozen=True):
    """The rules of the consolidated tape."""

    consolidated: UpdateRules


class ConditionRow(Struct, frozen=True):
    """A condition: ids repeat between types, and those of trades are sale conditions."""

    id: int
    type: str
    name: str = ""
    update_rules: Consolidated | None = None


class BulkRest:
    """The vendor's answers that hold the whole market. A row that cannot be read costs only itself."""

    def __init__(self, rest: MassiveRest) -> None:
        self._rest = rest

    async def server_ms(self) -> int:
        """The vendor's clock (epoch ms)."""
        path = "/v1/marketstatus/now"
        body = await self._rest.ask(Kind.SNAPSHOT, Endpoint.STATUS, path, {}, Status)
        try:
            return int(datetime.fromisoformat(body.server_time).timestamp() * 1000)
        except ValueError as error:
            raise RestError("garbage", f"REST: {path}: expected a time, was {body.server_time!r}") from error

    async def snapshots(self) -> dict[str, tuple[bytes, TickerSnapshot]]:
        """The snapshot of each ticker, as the vendor's JSON and read."""
        path = "/v2/snapshot/locale/us/markets/stocks/tickers"
        body = await self._rest.ask(Kind.SNAPSHOT, Endpoint.SNAPSHOT, path, {}, Snapshots, bulk=True)
        decode = decoder_of(TickerSnapshot)
        found: dict[str, tuple[bytes, TickerSnapshot]] = {}
        refused = 0
        for raw in body.tickers:
            text = bytes(raw)
            try:
                snapshot = decode(text)
            except UNREADABLE:
                refused += 1
                continue
            found[snapshot.ticker] = text, snapshot
        _say_refused(path, refused)
        return found

    async def average_volumes(self) -> dict[str, float | None]:
        """The average volume of each ticker that has exactly one ratio; None: the vendor does not know it."""
        rows = [
            row
            async for row in self._pages(
                Kind.AVG_VOLUME, Endpoint.RATIOS, "/stocks/financials/v1/ratios", {"limit": str(RATIOS_PAGE)}, RatioRow
            )
        ]
        counts: dict[str, int] = {}
        for row in rows:
            counts[row.ticker] = counts.get(row.ticker, 0) + 1
        return {row.ticker: _positive(row.average_volume) for row in rows if counts[row.ticker] == 1}

    async def free_floats(self) -> dict[str, float | None]:
        """The free float of each ticker: its first row's; None: the vendor does not know it."""
        query = {"limit": str(FLOATS_PAGE), "sort": "ticker.asc"}
        found: dict[str, float | None] = {}
        async for row in self._pages(Kind.FREE_FLOAT, Endpoint.FLOATS, "/stocks/vX/float", query, FloatRow):
            found.setdefault(row.ticker, _positive(row.free_float))
        return found

    async def grouped(self, day: str) -> dict[str, GroupedRow]:
        """The bars of all tickers of a day (ISO date), not adjusted; none where nothing traded."""
        path = f"/v2/aggs/grouped/locale/us/market/stocks/{day}"
        body = await self._rest.ask(Kind.AVG_VOLUME, Endpoint.GROUPED, path, {"adjusted": "false"}, Rows, bulk=True)
        return {row.ticker: row for row in _read(path, body.results, GroupedRow)}

    def tickers(self) -> AsyncIterator[TickerRow]:
        """The active stocks of the directory, by ticker."""
        query = {"market": "stocks", "active": "true", "limit": str(TICKERS_PAGE), "sort": "ticker", "order": "asc"}
        return self._pages(Kind.SNAPSHOT, Endpoint.TICKERS, "/v3/reference/tickers", query, TickerRow)

    async def conditions(self) -> list[Rules]:
        """What the vendor says of each sale condition. A `RestError` of kind `garbage`: of none."""
        path = "/v3/reference/conditions"
        query = {"asset_class": "stocks", "data_types": "trade", "limit": str(CONDITIONS_PAGE)}
        rules = [
            Rules(row.id, row.name or f"condition {row.id}", figures.volume, figures.high_low, figures.open_close)
            async for row in self._pages(Kind.SNAPSHOT, Endpoint.CONDITIONS, path, query, ConditionRow)
            if row.type == SALE_CONDITION
            and row.update_rules is not None
            and (figures := row.update_rules.consolidated)
        ]
        if not rules:
            raise RestError("garbage", f"REST: {path}: expected sale conditions with update rules, was none")
        return rules

    async def splits(self, first: str, last: str) -> list[Split]:
        """The splits that are executed from one day to another (ISO dates, both included)."""
        query = {"execution_date.gte": first, "execution_date.lte": last, "limit": str(SPLITS_PAGE)}
        pages = self._pages(Kind.SNAPSHOT, Endpoint.SPLITS, "/stocks/v1/splits", query, Split)
        return [row async for row in pages if is_sound(row)]

    async def _pages(
        self, kind: Kind, endpoint: Endpoint, path: str, query: dict[str, str], row: type[Row]
    ) -> AsyncIterator[Row]:
        for _ in range(MOST_PAGES):
            body = await self._rest.ask(kind, endpoint, path, query, Rows, bulk=True)
            for each in _read(path, body.results, row):
                yield each
            if body.next_url is None:
                return
            # Its host is the vendor's own, whatever host was asked; the cursor is what counts.
            address = urlsplit(body.next_url)
            path, query = address.path, dict(parse_qsl(address.query))
        log.warning("rest_pages_left", path=path, pages=MOST_PAGES)


def _read(path: str, rows: list[Raw], row: type[Row]) -> list[Row]:
    decode, found, refused = decoder_of(row), [], 0
    for each in rows:
        try:
            found.append(decode(each))
        except UNREADABLE:
            refused += 1
    _say_refused(path, refused)
    return found


def _say_refused(path: str, refused: int) -> None:
    if refused:
        log.warning("rest_rows_refused", path=path, rows=refused)


def _positive(number: float | None) -> float | None:
    # The vendor's 0 is "not known": nothing that trades has a mean volume or a float of 0.
    return number if number is not None and number > 0 else None
