"""REST of filters: the presets, the fields there are, and whether a text is a filter."""

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Body, Query
from fastapi.responses import Response

from app.gateway.feeds.filtering import SCAN, schema_for
from app.gateway.http.rest import Reads
from app.gateway.protocol.problems import Problem, response_of
from app.market.filter_presets import PRESETS
from app.market.filters import FilterError, compile_filter

router = APIRouter(prefix="/api/filters", tags=["filters"], responses=response_of(401, "No sign-in, or a wrong one"))

_EXAMPLE = {
    "name": "five_pillars",
    "title": "Five pillars",
    "description": "Momentum candidates …",
    "filter": "close between 2 and 20 and free_float < 20M and pct_change >= 10 and relative_volume >= 5",
    "sort": "-pct_change",
}
_CHECKED = {
    "valid": False,
    "filter": None,
    "fields": [],
    "errors": [
        {"message": "at character 1: there is no field float; did you mean free_float?", "position": 0,
         "suggestion": "free_float"}
    ],
}  # fmt: skip


def _example(description: str, example: Any) -> dict[int | str, dict[str, Any]]:
    return {200: {"description": description, "content": {"application/json": {"example": example}}}}


@router.get("/presets", responses=_example("The presets", {"presets": [_EXAMPLE]}))
async def list_presets(gateway: Reads) -> Response:
    """Filters that day traders ask for by name; each is used as `filter` and `sort` of a scan."""
    return _json({"presets": PRESETS})


@router.get("/fields", responses=_example("The fields", {"feed": SCAN, "fields": {"close": "number"}}))
async def list_fields(gateway: Reads, feed: Annotated[str, Query(max_length=256)] = SCAN) -> Response:
    """The fields that a filter of a feed may name, and what they hold: number, string or boolean."""
    schema = schema_for(feed)
    if schema is None:
        raise Problem(404, "no-list", f"{feed} is no list of rows that a filter could choose from")
    return _json({"feed": feed, "fields": dict(schema)})


@router.post("/check", responses=_example("Whether it is a filter, and where it is not", _CHECKED))
async def check_filter(
    gateway: Reads,
    filter: Annotated[str, Body(max_length=10_000, examples=["pct_change > 10 and relative_volume > 5"])],
    feed: Annotated[str, Body(max_length=256)] = SCAN,
) -> Response:
    """Whether a text is a filter over a feed's rows; where it is none, `position` is the character (from 0)."""
    schema = schema_for(feed)
    if schema is None:
        raise Problem(404, "no-list", f"{feed} is no list of rows that a filter could choose from")
    try:
        found = compile_filter(filter, schema)
    except FilterError as error:
        fault = {"message": str(error), "position": error.position, "suggestion": error.suggestion}
        return _json({"valid": False, "filter": None, "fields": [], "errors": [fault]})
    return _json({"valid": True, "filter": found.text, "fields": sorted(found.fields), "errors": []})


def _json(body: object) -> Response:
    return Response(msgspec.json.encode(body), media_type="application/json", headers={"Cache-Control": "no-store"})
