"""REST of the directory: what a symbol is, and which symbols a text may mean."""

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query, Response

from app.gateway.gateway import Gateway
from app.gateway.http.rest import After, PageSize, Reads, example, json_response, page_example, page_of, row_of
from app.gateway.http.rest import Symbols as Names
from app.gateway.protocol.feeds import SYMBOLS
from app.gateway.protocol.problems import Problem, response_of
from app.market.symbols import Listing, found_by

EXAMPLE_LISTING: dict[str, Any] = {
    "symbol": "AAPL", "day": "2026-11-20", "name": "Apple Inc.", "type": "CS", "exchange": "XNAS", "active": True,
}  # fmt: skip

router = APIRouter(prefix="/api", tags=["symbols"], responses=response_of(401, "No API key, or a wrong one"))

_listing = msgspec.json.Decoder(Listing)


def _listings(gateway: Gateway) -> list[Listing]:
    return [_listing.decode(record.value) for record in gateway.view.rows(SYMBOLS) if record.value is not None]


@router.get("/symbols", responses=page_example(SYMBOLS, EXAMPLE_LISTING))
async def list_symbols(
    gateway: Reads,
    search: Annotated[
        str | None, Query(max_length=100, description="A symbol, its beginning, or a part of a name; best first.")
    ] = None,
    symbols: Names = None,
    after: After = None,
    limit: PageSize = 1000,
) -> Response:
    """The directory, by symbol; with `search` what a person may mean by a text, best first."""
    if search is None:
        return page_of(gateway, SYMBOLS, symbols, after, limit)
    rows = found_by(_listings(gateway), search, limit)
    return json_response(msgspec.json.encode({"count": len(rows), "symbols": rows, "next": None}))


@router.get(
    "/spellings/{text}", responses=example("ABCW and its warrant", {"text": "abcw", "symbols": ["ABCW", "ABCw"]})
)
async def get_spellings(gateway: Reads, text: str) -> Response:
    """The symbols that a text may mean: itself alone where it is one, else those of the same letters in other case.

    Upper and lower case tell securities apart. Requests by symbol take the exact one, else the only one that
    this names; where it names several they answer 404.
    """
    return json_response(msgspec.json.encode({"text": text, "symbols": gateway.view.spelled(text)}))


@router.get(
    "/symbols/{symbol}",
    responses=example("The listing", EXAMPLE_LISTING) | response_of(404, "The directory does not have the symbol"),
)
async def get_symbol(gateway: Reads, symbol: str) -> Response:
    """What a symbol is: name, type, listing exchange."""
    row = row_of(gateway, SYMBOLS, symbol)
    if row is None:
        raise Problem(404, "unknown-symbol", f"the directory does not have {symbol!r}")
    return json_response(row)
