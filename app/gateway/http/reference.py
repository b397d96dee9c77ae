"""REST of reference data: a ticker's snapshot, average volume, float; what the cache did."""

import asyncio
from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Path, Request
from fastapi.responses import Response

from app.errors import StoreDown
from app.gateway.protocol.problems import Problem, problem_response, response_of
from app.reference.cache import MarketDataCache
from app.reference.records import Answer, Kind, Layer, State

#: Letters of both cases: the vendor writes preferred shares as `BACpB`.
Ticker = Annotated[str, Path(pattern=r"^[A-Za-z0-9.\-]{1,20}$", description="A ticker as the vendor writes it.")]

#: The HTTP status of an answer. What is known to be missing is a 404; what cannot be had now, a 503.
STATUS = {
    State.FRESH: 200, State.STALE: 200, State.MISSING: 404, State.FAILED: 503, State.UNAVAILABLE: 503,
}  # fmt: skip

_WHY = {
    State.MISSING: "the vendor has none",
    State.FAILED: "the vendor's REST failed and there is no older value; try again later",
    State.UNAVAILABLE: "Redis is down and this gateway has no value of its own; try again later",
}

_SNAPSHOT = {"ticker": "AAPL", "day": {"c": 272.4, "v": 48_213_377}, "prevDay": {"c": 268.56, "v": 51_234_000}}


def _example(example: Any) -> dict[int | str, dict[str, Any]]:
    return {200: {"description": "What is known", "content": {"application/json": {"example": example}}}}


def _answered(value: Any) -> dict[int | str, dict[str, Any]]:
    return _example({"ticker": "AAPL", "value": value, "state": "fresh", "age_s": 12.5})


_RESPONSES = response_of(404, "The vendor has none") | response_of(
    503, "Not to be had now; Retry-After says when to ask again"
)
#: What a request is told to wait (s) when the answer cannot be had now.
RETRY_AFTER_S = 5


def reference_routes(cache: Callable[[Request], MarketDataCache], *, wait_s: float = 10.0) -> APIRouter:
    """Routes under `/api` on the cache that `cache(request)` gives; a request is answered within `wait_s`."""
    router = APIRouter(prefix="/api", tags=["reference"])

    async def answer(request: Request, kind: Kind, ticker: str) -> Response:
        try:
            async with asyncio.timeout(wait_s):
                found = await cache(request).get(kind, ticker)
        except TimeoutError:
            # The request goes on: who asks again finds its answer.
            found = Answer(None, State.FAILED, Layer.REST, reason="timeout")
        return _response(request, ticker, found)

    @router.get("/snapshot/{ticker}", responses=_answered(_SNAPSHOT) | _RESPONSES)
    async def snapshot(request: Request, ticker: Ticker) -> Response:
        """A ticker's snapshot: today's and the previous day's bars, last quote and trade."""
        return await answer(request, Kind.SNAPSHOT, ticker)

    @router.get("/avg-volume/{ticker}", responses=_answered(51_234_000) | _RESPONSES)
    async def avg_volume(request: Request, ticker: Ticker) -> Response:
        """A ticker's average daily volume in shares."""
        return await answer(request, Kind.AVG_VOLUME, ticker)

    @router.get("/float/{ticker}", responses=_answered(14_687_356_000) | _RESPONSES)
    async def free_float(request: Request, ticker: Ticker) -> Response:
        """A ticker's free float in shares."""
        return await answer(request, Kind.FREE_FLOAT, ticker)

    @router.get("/cache/stats", responses=_example({"process": {"hits": {"memory": 812}}, "fleet": None}))
    async def stats(request: Request) -> Response:
        """What this gateway's cache did, and those of all processes together; `fleet` is null without Redis."""
        found = cache(request)
        try:
            fleet: Any = await found.fleet_statistics()
        except StoreDown:
            fleet = None
        return _json({"process": found.statistics(), "fleet": fleet})

    return router


def _response(request: Request, ticker: str, found: Answer[Any]) -> Response:
    body: dict[str, Any] = {"ticker": ticker, "value": found.value, "state": found.state, "age_s": found.age_s}
    if found.reason is not None:
        body["reason"] = found.reason
    if found.state not in _WHY:
        return _json(body)
    kind = "unknown-ticker" if found.state is State.MISSING else "reference-unavailable"
    problem = Problem(STATUS[found.state], kind, f"{ticker}: {_WHY[found.state]}", **body)
    headers = {"Retry-After": str(RETRY_AFTER_S)} if problem.status == 503 else None
    return problem_response(request, problem, headers)


def _json(body: Any) -> Response:
    return Response(msgspec.json.encode(body), media_type="application/json", headers={"Cache-Control": "no-store"})
