"""The vendor's REST API: routes, key check, errors, paging, and the faults that are in force."""

import asyncio
import base64
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

import msgspec
from aiohttp import web

from app import clock
from producers.simulator.answers import Answers
from producers.simulator.clock import VirtualClock
from producers.simulator.conditions import conditions
from producers.simulator.faults import Faults
from producers.simulator.plans import Rights
from producers.simulator.rest_query import (
    COMPARISONS,
    RestError,
    bad_query,
    compares_ticker,
    range_ms,
    whole_number,
    with_otc,
)
from producers.simulator.rest_rows import Json
from producers.simulator.symbols import Universe
from producers.simulator.whole_market import WholeMarket

Handler = Callable[[web.Request], Json | list[Json]]
PUBLIC_HOST: Final = "https://api.massive.com"
#: Rows of a page, default and most: vendor's documents.
_TICKER_LIMIT, _AGGREGATE_LIMIT = (100, 1000), (5000, 50_000)
_TRADE_LIMIT: Final = (1000, 50_000)
#: Bounds of a time in a query, and what each adds so that the first is meant and the end is not.
_FROM, _UNTIL = (("gte", 0), ("gt", 1)), (("lt", 0), ("lte", 1))
_RATIO_LIMIT, _FLOAT_LIMIT, _SPLIT_LIMIT = (100, 50_000), (100, 5000), (100, 5000)


NOT_ENTITLED: Final = "You are not entitled to this data. Please upgrade your plan at https://massive.com/pricing"
NOT_THIS_TIME: Final = (
    "Your plan doesn't include this data timeframe. Please upgrade your plan at https://massive.com/pricing"
)
TOO_MANY_CALLS: Final = (
    "You've exceeded the maximum requests per minute, please wait or upgrade your subscription to continue. "
    "https://massive.com/pricing"
)


class RestApi:
    """Handlers of the vendor's endpoints; `requests` counts them by endpoint, `statuses` by status."""

    def __init__(
        self, universe: Universe, answers: Answers, market_clock: VirtualClock, faults: Faults, api_key: str,
        rights: Rights,
    ) -> None:  # fmt: skip
        self._rights = rights
        #: When the calls of the last minute were (monotonic s), where the plan limits them.
        self.calls_s: deque[float] = deque()
        self._universe, self._answers, self._clock = universe, answers, market_clock
        self._faults, self._api_key = faults, api_key
        self._whole = WholeMarket(answers)
        self._sorted_slots = sorted(range(len(universe)), key=universe.tickers.__getitem__)
        self.requests: Counter[str] = Counter()
        self.statuses: Counter[str] = Counter()

    def routes(self) -> list[web.RouteDef]:
        """The vendor's endpoints, each under the name that the statistics use."""
        endpoints: dict[str, tuple[str, Handler]] = {
            "market_status": ("/v1/marketstatus/now", self._market_status),
            "holidays": ("/v1/marketstatus/upcoming", self._holidays),
            "snapshot": ("/v2/snapshot/locale/us/markets/stocks/tickers/{ticker}", self._snapshot),
            "aggregates": (
                "/v2/aggs/ticker/{ticker}/range/{multiplier}/{timespan}/{first}/{last}",
                self._aggregates,
            ),
            "snapshots": ("/v2/snapshot/locale/us/markets/stocks/tickers", self._snapshots),
            "grouped": ("/v2/aggs/grouped/locale/us/market/stocks/{day}", self._grouped),
            "splits": ("/stocks/v1/splits", self._splits),
            "trades": ("/v3/trades/{ticker}", self._trades),
            "conditions": ("/v3/reference/conditions", self._conditions),
            "ticker_details": ("/v3/reference/tickers/{ticker}", self._details),
            "ticker_events": ("/vX/reference/tickers/{ticker}/events", self._events),
            "exchanges": ("/v3/reference/exchanges", self._exchanges),
            "ratios": ("/stocks/financials/v1/ratios", partial(self._rows, self._answers.ratios, _RATIO_LIMIT)),
            "floats": ("/stocks/vX/float", partial(self._rows, self._answers.floats, _FLOAT_LIMIT)),
            "tickers": ("/v3/reference/tickers", self._tickers),
        }
        return [web.get(path, self._endpoint(name, handler)) for name, (path, handler) in endpoints.items()]

    def _endpoint(self, name: str, handler: Handler) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def answer(request: web.Request) -> web.Response:
            self.requests[name] += 1
            if self._faults.rest_delay_s:
                await asyncio.sleep(self._faults.rest_delay_s)
            response = self._answer(request, name, handler)
            self.statuses[str(response.status)] += 1
            return response

        return answer

    def _answer(self, request: web.Request, name: str, handler: Handler) -> web.Response:
        status = self._faults.take_rest_status()
        if status is not None:
            wait_s = self._faults.retry_after_s
            headers = {} if wait_s is None else {"Retry-After": f"{wait_s:g}"}
            return self._json(status, self._with_id({"status": "ERROR", "error": "asked for by a fault"}), headers)
        if self._faults.rest_garbage:
            return web.Response(text="<html>not json</html>", content_type="text/html")
        if not self._has_key(request):
            return self._json(401, self._with_id({"status": "ERROR", "error": "Unknown API Key"}))
        try:
            self._check_plan(name)
            body = handler(request)
        except RestError as error:
            return self._json(error.status, self._with_id(error.body))
        return self._json(200, body if isinstance(body, list) or "serverTime" in body else self._with_id(body))

    def _check_plan(self, name: str) -> None:
        most = self._rights.calls_per_minute
        if most is not None:
            now_s = clock.monotonic_s()
            while self.calls_s and self.calls_s[0] <= now_s - 60:
                self.calls_s.popleft()
            if len(self.calls_s) >= most:
                raise RestError(429, {"status": "ERROR", "error": TOO_MANY_CALLS})
            self.calls_s.append(now_s)
        if name not in self._rights.endpoints:
            raise RestError(403, {"status": "NOT_AUTHORIZED", "message": NOT_ENTITLED})

    def _json(self, status: int, body: Any, headers: dict[str, str] | None = None) -> web.Response:
        return web.Response(
            status=status, body=msgspec.json.encode(body), content_type="application/json", headers=headers
        )

    def _with_id(self, body: Json) -> Json:
        return body | {"request_id": f"{sum(self.requests.values()):032x}"}

    def _has_key(self, request: web.Request) -> bool:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ") or request.query.get("apiKey", "")
        return given == self._api_key

    def _market_status(self, _: web.Request) -> Json:
        return self._answers.market_status(self._clock.now_ms(), self._faults.market)

    def _holidays(self, _: web.Request) -> list[Json]:
        return self._answers.holidays(self._clock.now_ms())

    def _snapshot(self, request: web.Request) -> Json:
        slot = self._universe.slot.get(request.match_info["ticker"])
        if slot is None:
            raise RestError(404, {"status": "NOT_FOUND", "message": "Ticker not found."})
        return {"status": "OK", "ticker": self._answers.snapshot(slot, self._clock.now_ms())}

    def _snapshots(self, request: web.Request) -> Json:
        wanted = request.query.get("tickers")
        rows = self._whole.snapshots(self._clock.now_ms(), wanted.split(",") if wanted else None, otc=with_otc(request))
        return {"status": "OK", "count": len(rows), "tickers": rows}

    def _grouped(self, request: web.Request) -> Json:
        day = request.match_info["day"]
        range_ms(day, last=False)
        if not self._rights.today and day == self._answers.model.day.day and not self._closed:
            raise RestError(403, {"status": "NOT_AUTHORIZED", "message": NOT_THIS_TIME})
        adjusted = request.query.get("adjusted", "true") == "true"
        rows = self._whole.grouped(day, adjusted=adjusted, otc=with_otc(request))
        found: Json = {"adjusted": adjusted, "status": "OK"}
        found |= {"queryCount": len(rows), "resultsCount": len(rows), "count": len(rows)}
        return found | ({"results": rows} if rows else {})

    @property
    def _closed(self) -> bool:
        return self._clock.now_ms() >= self._answers.model.day.closes_ms

    def _splits(self, request: web.Request) -> Json:
        """Splits by `ticker`, `execution_date` and its `.gte`, `.gt`, `.lte`, `.lt`."""
        query = request.query
        tickers = query.get("ticker", query.get("ticker.any_of", ""))
        bounds = [
            (compares, query[f"execution_date{name}"])
            for name, compares in COMPARISONS.items()
            if query.get(f"execution_date{name}")
        ]

        def wanted(ticker: str, day: str) -> bool:
            named = not tickers or ticker in tickers.split(",")
            return named and all(compares(day, bound) for compares, bound in bounds)

        return self._page(request, self._answers.splits(wanted), _SPLIT_LIMIT)

    def _events(self, request: web.Request) -> Json:
        return {"status": "OK", "results": self._answers.events(self._slot(request.match_info["ticker"]))}

    def _exchanges(self, _: web.Request) -> Json:
        rows = self._whole.exchanges()
        return {"status": "OK", "count": len(rows), "results": rows}

    def _conditions(self, request: web.Request) -> Json:
        rows = conditions(request.query.get("data_types"))
        page = self._page(request, rows, (10, 1000))
        return page | {"count": len(page["results"])}

    def _details(self, request: web.Request) -> Json:
        return {"status": "OK", "results": self._answers.details(self._slot(request.match_info["ticker"]))}

    def _slot(self, ticker: str) -> int:
        slot = self._universe.slot.get(ticker)
        if slot is None:
            raise RestError(404, {"status": "NOT_FOUND", "message": "Ticker not found."})
        return slot

    def _trades(self, request: web.Request) -> Json:
        """Trades of a symbol by `timestamp.gte`, `.gt`, `.lt`, `.lte` (ns), newest first unless `order=asc`."""
        query, first_ns, end_ns = request.query, 0, 2**63
        try:
            first_ns = max(first_ns, *(int(query.get(f"timestamp.{name}", 0)) + one for name, one in _FROM))
            end_ns = min(end_ns, *(int(query.get(f"timestamp.{name}", end_ns)) + one for name, one in _UNTIL))
        except ValueError:
            raise bad_query("expected timestamps in epoch ns, was another text") from None
        slot = self._universe.slot.get(request.match_info["ticker"])
        rows = [] if slot is None else self._answers.model.recent.trades(slot, first_ns, end_ns)
        if query.get("order", "desc") != "asc":
            rows.reverse()
        return self._page(request, rows, _TRADE_LIMIT)

    def _aggregates(self, request: web.Request) -> Json:
        path = request.match_info
        adjusted = request.query.get("adjusted", "true") == "true"
        body: Json = {"ticker": path["ticker"], "adjusted": adjusted}
        multiplier = whole_number({**path}, "multiplier", 1, 10_000)
        first_ms, last_ms = range_ms(path["first"], last=False), range_ms(path["last"], last=True)
        if path["timespan"] == "second" and not self._rights.second_bars:
            raise RestError(403, {"status": "NOT_AUTHORIZED", "message": NOT_THIS_TIME})
        try:
            rows = self._answers.aggregates(
                path["ticker"], path["timespan"], multiplier, first_ms, last_ms, adjusted=adjusted
            )
        except ValueError as error:
            raise bad_query(str(error)) from None
        if request.query.get("sort", "asc") == "desc":
            rows.reverse()
        page = self._page(request, rows, _AGGREGATE_LIMIT)
        if not page["results"]:
            del page["results"]
        count = len(page.get("results", ()))
        return body | {"queryCount": count, "resultsCount": count} | page

    def _rows(self, of: Callable[[int], list[Json]], limits: tuple[int, int], request: web.Request) -> Json:
        wanted = request.query.get("ticker") or request.query.get("ticker.any_of")
        names = wanted.split(",") if wanted else [self._universe.tickers[slot] for slot in self._sorted_slots]
        slots = [self._universe.slot[name] for name in names if name in self._universe.slot]
        return self._page(request, [row for slot in slots for row in of(slot)], limits)

    def _tickers(self, request: web.Request) -> Json:
        query, universe = request.query, self._universe
        otc = query.get("market", "stocks") == "otc"
        keep: list[Callable[[int], bool]] = [lambda slot: bool(universe.otc[slot]) is otc]
        for name, compares in COMPARISONS.items():
            if query.get(f"ticker{name}"):
                keep.append(partial(compares_ticker, universe.tickers, compares, query[f"ticker{name}"]))
        for name, column in (("type", universe.kinds), ("exchange", universe.markets)):
            if query.get(name):
                keep.append(lambda slot, values=column, value=query[name]: values[slot] == value)  # type: ignore[misc] # as above
        if query.get("search"):
            text = query["search"].lower()
            keep.append(lambda slot: text in universe.tickers[slot].lower() or text in universe.names[slot].lower())
        nothing = query.get("market", "stocks") not in ("stocks", "otc") or query.get("active", "true") != "true"
        slots = [] if nothing else [slot for slot in self._sorted_slots if all(test(slot) for test in keep)]
        if query.get("order") == "desc":
            slots.reverse()
        page = self._page(request, slots, _TICKER_LIMIT)
        results = [self._answers.ticker(slot) for slot in page["results"]]
        return page | {"results": results, "count": len(results)}

    def _page(self, request: web.Request, rows: list[Any], limits: tuple[int, int]) -> Json:
        """One page of rows and, where more follow, `next_url`: the same query from a cursor on."""
        limit = whole_number(request.query, "limit", *limits)
        try:
            first = int(base64.urlsafe_b64decode(request.query.get("cursor", "MA==")))
        except ValueError:
            raise bad_query("expected a cursor of an earlier answer, was another text") from None
        body: Json = {"status": "OK", "results": rows[first : first + limit]}
        if first + limit < len(rows):
            cursor = base64.urlsafe_b64encode(str(first + limit).encode()).decode()
            body["next_url"] = PUBLIC_HOST + str(request.rel_url.update_query(cursor=cursor))
        return body
