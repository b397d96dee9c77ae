"""What the tables of the platform must be: a plain fold of the raw topics, one event after the other.

No batches, no partitions beside those of the trade tape's clock, no recovery: whatever the workers suffered meanwhile,
their tables must be these.
"""

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from app.kafka import topics
from app.market.alerts import AlertRules
from app.market.calendar import TradingCalendar
from app.market.daily_alerts import AlertRecord, RangeRow, fold_day, fold_thresholds, halt_records
from app.market.events import Aggregate, LimitUpLimitDown, MinuteAggregate, Quote, Reference
from app.market.halts import HaltCodes, HaltState, fold_halt
from app.market.nbbo import Nbbo, fold_nbbo
from app.market.quotes import QuoteState, accumulate, finish, row_at
from app.market.ranking import BOARDS
from app.market.rows import QuoteRow
from app.market.symbols import Listing
from app.market.trade_tape import TapePartition, WindowTrade
from tests.consistency.harness import raw_table, read_all, table
from tests.tape_trades import trades_of, trades_of_chunks

Rows = dict[str, Any]

#: Alerts of these kinds depend on when reference data came: of them no more is exact than what `_thresholds` says.
_THRESHOLDS = ("volume_spike", "gap_up", "gap_down")


class Recomputed:
    """The tables by plain folds; `of` makes one."""

    def __init__(self, partitions: int, codes: HaltCodes, rules: AlertRules) -> None:
        self.calendar, self.codes, self.rules = TradingCalendar.new_york(), codes, rules
        self.references: dict[str, Reference] = {}
        self.listings: dict[str, Listing] = {}
        self.nbbo: dict[str, Nbbo] = {}
        self.halts: dict[str, HaltState] = {}
        self.ranges: dict[str, RangeRow] = {}
        self.quotes: dict[str, QuoteRow] = {}
        self.tapes = [TapePartition() for _ in range(partitions)]
        #: Alerts whose content is exact, by key: new extremes, halts, resumptions.
        self.alerts: dict[str, AlertRecord] = {}
        self.refused = 0

    @classmethod
    async def of(
        cls, bootstrap: str, partitions: int, codes: HaltCodes | None = None, rules: AlertRules | None = None
    ) -> "Recomputed":
        """From all that stands in the raw topics now."""
        found = cls(partitions, codes or HaltCodes(), rules or AlertRules())
        for spec, take in (
            (topics.REFERENCE, found._reference),
            (topics.SYMBOLS, found._listing),
            (topics.QUOTES, found._quote),
            (topics.HALTS, found._bands),
            (topics.TRADES, found._trade),
        ):
            for record in await read_all(bootstrap, spec.name):
                try:
                    take(record)
                except (msgspec.DecodeError, ValueError):
                    found.refused += 1
        found._aggregates(await read_all(bootstrap, topics.AGGREGATES.name))
        return found

    def _reference(self, record: Any) -> None:
        row = msgspec.json.decode(record.value, type=Reference)
        before = self.references.get(row.symbol)
        if before is None or row.day >= before.day:
            self.references[row.symbol] = row

    def _listing(self, record: Any) -> None:
        row = msgspec.json.decode(record.value, type=Listing)
        before = self.listings.get(row.symbol)
        if before is None or row.day >= before.day:
            self.listings[row.symbol] = row

    def _quote(self, record: Any) -> None:
        quote = msgspec.json.decode(record.value, type=Quote)
        symbol = quote.symbol or ""
        self.nbbo[symbol] = fold_nbbo(self.nbbo.get(symbol), quote, _received_ns(record)) or self.nbbo[symbol]

    def _bands(self, record: Any) -> None:
        event = msgspec.json.decode(record.value, type=LimitUpLimitDown)
        symbol = event.symbol or ""
        before = self.halts.get(symbol)
        after = fold_halt(before, event, self.codes, self.calendar)
        if after is not None:
            self.halts[symbol] = after
            self._note(halt_records(before, after, None))

    def _trade(self, record: Any) -> None:
        self.tapes[record.partition].fold([msgspec.json.decode(record.value, type=WindowTrade)])

    def _aggregates(self, records: list[Any]) -> None:
        states: dict[str, QuoteState] = {}
        received_ns: dict[str, int | None] = {}
        decode = msgspec.json.Decoder(Aggregate | MinuteAggregate).decode
        for record in records:
            try:
                bar = decode(record.value)
                symbol = bar.symbol or ""
                state, alerts = fold_day(self.ranges.get(symbol), bar, self.rules, self.calendar)
            except (msgspec.DecodeError, ValueError):
                self.refused += 1
                continue
            self._note(alerts)
            reached = row_at(bar, None, self.references.get(symbol), self.calendar)
            self.ranges[symbol], _ = fold_thresholds(state, reached, self.rules)
            after = accumulate(states.get(symbol), bar, self.calendar)
            if after is not None:
                states[symbol] = after
                if after.last is bar:
                    received_ns[symbol] = _received_ns(record)
        for symbol, quote in states.items():
            self.quotes[symbol] = finish(quote, self.references.get(symbol), received_ns.get(symbol))

    def _note(self, alerts: list[AlertRecord]) -> None:
        self.alerts.update((alert.key, alert) for alert in alerts)

    def boards(self) -> dict[str, list[str]]:
        """The symbols of each board, best first."""
        phases = sorted((row.day, row.opened_regular) for row in self.quotes.values())
        if not phases:
            return {}
        agreed = phases[-min(3, len(phases))]
        found: dict[str, list[str]] = {}
        for board in BOARDS:
            scored = [
                (score if board.ascending else -score, row.symbol)
                for row in self.quotes.values()
                if ((row.day, row.opened_regular) == agreed if board.from_open else row.day == agreed[0])
                and (score := getattr(row, board.score_field)) is not None
                and math.isfinite(score)
            ]
            found[board.name] = [symbol for _, symbol in sorted(scored)[:500]]
        return found

    def summary(self) -> str:
        """What there is to compare, in words."""
        tapes = sum(len(part.windows) for part in self.tapes)
        return (
            f"{len(self.quotes)} quote rows, {len(self.nbbo)} best bids and offers, {len(self.ranges)} daily ranges, "
            f"{len(self.halts)} price bands, {tapes} tapes and windows, {len(self.boards())} boards, "
            f"{len(self.alerts)} alerts beside thresholds, {len(self.references)} reference rows, "
            f"{len(self.listings)} listings"
        )

    async def differences(self, bootstrap: str) -> dict[str, Any]:
        """Of each table the keys whose rows in Kafka are others, with the row found and the row expected."""
        tables = {
            spec.name: await table(bootstrap, spec)
            for spec in (*_PLAIN, topics.DAILY_RANGES, topics.LEADERBOARDS, topics.TRADE_WINDOWS)
        }
        raised = {symbol: set(row.pop("raised")) for symbol, row in tables[topics.DAILY_RANGES.name].items()}
        chunks = await raw_table(bootstrap, topics.TRADE_TAPE)
        alerts = [json.loads(record.value) for record in await read_all(bootstrap, topics.ALERTS.name)]
        wanted = {spec.name: plain(getattr(self, name)) for spec, name in _PLAIN.items()}
        wanted[topics.DAILY_RANGES.name] = plain(self.ranges)
        for row in wanted[topics.DAILY_RANGES.name].values():
            del row["raised"]
        differ = {name: differing(tables[name], rows) for name, rows in wanted.items()}
        differ |= self._tape_differences(chunks, tables[topics.TRADE_WINDOWS.name])
        differ[topics.LEADERBOARDS.name] = self._board_differences(tables[topics.LEADERBOARDS.name])
        differ[topics.ALERTS.name] = self._alert_differences(alerts)
        differ["thresholds"] = dict(self._threshold_differences(raised, alerts))
        return {name: rows for name, rows in differ.items() if rows}

    def _tape_differences(self, rows: Mapping[str, bytes], windows: Rows) -> dict[str, Rows]:
        tapes = {symbol: trades_of(part.windows, symbol) for part in self.tapes for symbol in part.windows.symbols()}
        by_symbol: dict[str, dict[int, bytes]] = {}
        for key, value in rows.items():
            symbol, _, slot = key.rpartition("/")
            by_symbol.setdefault(symbol, {})[int(slot)] = value
        # The side of a trade goes by the quote that was known then and is noted with it: statistics are those of the
        # trades as they stand in the table, which are compared themselves.
        loaded = TapePartition()
        for key, value in rows.items():
            loaded.load(key, value)
        loaded.finish_loading()
        summary = windows.get("*", {"symbols": {}})["symbols"]
        handed = loaded.handed()
        details = {
            symbol: {
                name: value for name, value in windows.get(symbol, {}).items() if name not in ("symbol", "timestamp")
            }
            for symbol in handed
        }
        return {
            topics.TRADE_TAPE.name: differing(
                {symbol: trades_of_chunks(symbol, slots) for symbol, slots in by_symbol.items()}, tapes
            ),
            "all windows": differing(summary, plain({key: window.statistics for key, window in handed.items()})),
            topics.TRADE_WINDOWS.name: differing(
                details, plain({key: window.detail for key, window in handed.items()})
            ),
            "pace of windows": differing(
                _paces([loaded]), _paces(self.tapes)
            ),
        }  # fmt: skip

    def _board_differences(self, boards: Rows) -> Rows:
        rows = plain(self.quotes)
        wanted = {
            name: [{"rank": rank, **rows[symbol]} for rank, symbol in enumerate(symbols, 1)]
            for name, symbols in self.boards().items()
        }
        return differing({name: board["entries"] for name, board in boards.items()}, wanted)

    def _alert_differences(self, alerts: list[Any]) -> Rows:
        found = {alert["key"]: alert for alert in alerts if alert["kind"] not in _THRESHOLDS}
        wanted = plain(self.alerts)
        for row in (*found.values(), *wanted.values()):
            row.pop("row", None)
        return differing(found, wanted)

    def _threshold_differences(self, raised: Mapping[str, set[str]], alerts: list[Any]) -> Iterator[tuple[str, Any]]:
        """Those of volume are exact; a gap may have closed before reference data came, and then is not raised."""
        announced = {alert["key"] for alert in alerts if alert["kind"] in _THRESHOLDS}
        for symbol, state in self.ranges.items():
            ever, found = set(state.raised), raised.get(symbol, set())
            last, _ = fold_thresholds(msgspec.structs.replace(state, raised=()), self.quotes[symbol], self.rules)
            least = {key for key in ever if "/volume_spike/" in key} | set(last.raised)
            # Of several that are reached at once only the highest is announced.
            highest = {
                max(keys, key=_limit) for kind in _THRESHOLDS if (keys := [k for k in found if f"/{kind}/" in k])
            }
            if not (least <= found <= ever and highest <= announced):
                yield symbol, {"raised": found, "least": least, "most": ever, "not announced": highest - announced}
        unknown = announced - {key for keys in raised.values() for key in keys}
        if unknown:
            yield "*", {"announced and not raised": unknown}


#: Tables whose rows are compared as they are, and where they stand here.
_PLAIN = {
    topics.MARKET_REFERENCE: "references",
    topics.MARKET_SYMBOLS: "listings",
    topics.MARKET_QUOTES: "quotes",
    topics.NBBO: "nbbo",
    topics.MARKET_HALTS: "halts",
}


def _limit(key: str) -> float:
    return float(key.rpartition("/")[2])


def _received_ns(record: Any) -> int | None:
    received = dict(record.headers).get(topics.RECEIVED_NS_HEADER)
    return int(received) if received else None


def _paces(parts: list[TapePartition]) -> dict[str, tuple[float | None, float | None]]:
    """What a fold has to carry beyond the trades that it keeps."""
    details = {symbol: part.windows.detail(symbol) for part in parts for symbol in part.windows.symbols()}
    return {
        symbol: (detail.trades_per_minute, detail.usual_trades_per_minute)
        for symbol, detail in details.items()
        if detail is not None
    }


def plain(rows: Mapping[str, Any]) -> Rows:
    """Rows as a reader of their JSON has them."""
    return {key: json.loads(msgspec.json.encode(row)) for key, row in rows.items()}


def differing(found: Rows, wanted: Rows) -> Rows:
    """The keys whose rows differ, with both."""
    return {
        key: {"found": found.get(key), "expected": wanted.get(key)}
        for key in found.keys() | wanted.keys()
        if not same(found.get(key), wanted.get(key))
    }


def same(found: Any, wanted: Any) -> bool:
    """Whether two values are equal; sums of fractions may have been added in another order."""
    if isinstance(found, float) and isinstance(wanted, int | float):
        return math.isclose(found, wanted, rel_tol=1e-9)
    if isinstance(found, dict) and isinstance(wanted, dict):
        return found.keys() == wanted.keys() and all(same(found[key], wanted[key]) for key in found)
    if isinstance(found, list | tuple) and isinstance(wanted, list | tuple):
        return len(found) == len(wanted) and all(map(same, found, wanted))
    return bool(found == wanted)
