"""REST of reference data: a ticker's snapshot, average volume, float; what the cache did."""

import asyncio
from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Path
from fastapi.responses import Response

from app.errors import StoreDown
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

_RESPONSES: dict[int | str, dict[str, Any]] = {
    404: {"description": "The vendor has none."},
    503: {"description": "Not to be had now; Retry-After says when to ask again."},
}


def reference_routes(cache: Callable[[], MarketDataCache], *, wait_s: float = 10.0) -> APIRouter:
    """Routes under `/api` on the cache that `cache()` gives; a request is answered within `wait_s`."""
    router = APIRouter(prefix="/api", tags=["reference"])

    async def answer(kind: Kind, ticker: str) -> Response:
        try:
            async with asyncio.timeout(wait_s):
                found = await cache().get(kind, ticker)
        except TimeoutError:
            # The request goes on: who asks again finds its answer.
            found = Answer(None, State.FAILED, Layer.REST, reason="timeout")
        return _response(ticker, found)

    @router.get("/snapshot/{ticker}", responses=_RESPONSES)
    async def snapshot(ticker: Ticker) -> Response:
        """A ticker's snapshot: today's and the previous day's bars, last quote and trade."""
        return await answer(Kind.SNAPSHOT, ticker)

    @router.get("/avg-volume/{ticker}", responses=_RESPONSES)
    async def avg_volume(ticker: Ticker) -> Response:
        """A ticker's average daily volume in shares."""
        return await answer(Kind.AVG_VOLUME, ticker)

    @router.get("/float/{ticker}", responses=_RESPONSES)
    async def free_float(ticker: Ticker) -> Response:
        """A ticker's free float in shares."""
        return await answer(Kind.FREE_FLOAT, ticker)

    @router.get("/cache/stats")
    async def stats() -> Response:
        """What this gateway's cache did, and those of all processes together."""
        try:
            fleet: Any = await cache().fleet_statistics()
        except StoreDown:
            fleet = None
        return _json(200, {"process": cache().statistics(), "fleet": fleet})

    return router


def _response(ticker: str, found: Answer[Any]) -> Response:
    body: dict[str, Any] = {"ticker": ticker, "value": found.value, "state": found.state, "age_s": found.age_s}
    if found.state in _WHY:
        body["error"] = _WHY[found.state]
    if found.reason is not None:
        body["reason"] = found.reason
    response = _json(STATUS[found.state], body)
    if response.status_code == 503:
        response.headers["Retry-After"] = "5"
    return response


def _json(status: int, body: Any) -> Response:
    return Response(msgspec.json.encode(body), status_code=status, media_type="application/json")
