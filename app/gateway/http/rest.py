"""The REST API of the public tables; rows are the bytes of Kafka, spliced."""

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response

from app.gateway.access.identity import Identity, SignInRefused
from app.gateway.gateway import Gateway
from app.gateway.protocol.feeds import BOARDS, QUOTES, PublicTable, board_record
from app.gateway.protocol.problems import Problem, response_of
from app.gateway.tables.documents import array, first

EXAMPLE_ROW: dict[str, Any] = {
    "symbol": "AAPL", "day": "2026-11-20", "opened_regular": True, "volume": 2100, "accumulated_volume": 48213377,
    "official_open_price": 271.1, "vwap": 272.31, "open": 271.12, "close": 272.4, "high": 272.41, "low": 272.28,
    "aggregate_vwap": 271.93, "average_size": 87, "start_timestamp": 1795210200000, "end_timestamp": 1795210201000,
    "prev_day_close": 268.56, "avg_volume": 51234000, "change": 3.84, "pct_change": 1.4298, "relative_volume": 0.941,
}  # fmt: skip
EXAMPLE_ENTRY = {"rank": 1, **EXAMPLE_ROW}
EXAMPLE_BOARD = {"board": "top_volume", "day": "2026-11-20", "published_ns": 1795210201512000000}


_STATUS: dict[str, Any] = {
    "time_ms": 1795210201600, "ready": True, "reasons": [], "failure": None, "session": "regular",
    "opens_ms": None, "symbols": 6000,
    "newest_event_ms": 1795210201000, "newest_event_age_s": 0.6, "newest_received_age_s": 0.4,
    "feed": {"at_ms": 1795210140000, "connected": True, "host": "socket.massive.com/stocks",
             "channels": {"A.*": "acknowledged", "Q.*": "refused"}, "late": False, "evictions": 0, "problem": None},
}  # fmt: skip


def gateway_of(request: Request) -> Gateway:
    """The gateway behind a request."""
    found = request.app.state.gateway
    assert isinstance(found, Gateway)
    return found


async def identified(request: Request) -> Identity:
    """Who makes a request. Raises `Problem` where nobody whom the gateway knows does."""
    try:
        return await gateway_of(request).access.of_request(request.headers, request.scope.get("session"))
    except SignInRefused as refused:
        status = 503 if refused.fault == "keys_unavailable" else 401
        raise Problem(status, refused.fault.replace("_", "-"), str(refused)) from None


async def authorized(request: Request) -> Gateway:
    """The gateway, for requests that may read. Raises `Problem` for others."""
    await identified(request)
    return gateway_of(request)


Reads = Annotated[Gateway, Depends(authorized)]
Limit = Annotated[int | None, Query(ge=1, le=50_000, description="At most so many, the first ones.")]

router = APIRouter(prefix="/api", responses=response_of(401, "No API key, or a wrong one"))


def json_response(body: bytes) -> Response:
    """An answer that is JSON already."""
    return Response(body, media_type="application/json", headers={"Cache-Control": "no-store"})


def example(description: str, document: Any) -> dict[int | str, dict[str, Any]]:
    """A good answer for a route's `responses`."""
    return {200: {"description": description, "content": {"application/json": {"example": document}}}}


@router.get(
    "/leaderboards",
    tags=["leaderboards"],
    responses=example("The boards there are", {"boards": [EXAMPLE_BOARD | {"entries": 500}]}),
)
async def list_leaderboards(gateway: Reads) -> Response:
    """Every board: its trading day, when it was published (ns), how many entries it has."""
    boards = []
    for record in gateway.view.rows(BOARDS):
        board = board_record(record.value or b"")
        count = len(msgspec.json.decode(board.entries, type=list[msgspec.Raw]))
        boards.append({"board": record.key, "day": board.day, "published_ns": board.published_ns, "entries": count})
    return json_response(msgspec.json.encode({"boards": boards}))


@router.get(
    "/leaderboards/{board}",
    tags=["leaderboards"],
    responses=example("The board", EXAMPLE_BOARD | {"entries": [EXAMPLE_ENTRY]})
    | response_of(404, "No such board; `boards` names those there are"),
)
async def get_leaderboard(gateway: Reads, board: str, limit: Limit = None) -> Response:
    """A board, best first: each entry is a quote row with its rank."""
    record = gateway.view.get(BOARDS, board)
    if record is None or record.value is None:
        boards = [each.key for each in gateway.view.rows(BOARDS)]
        detail = f"there is no board {board!r}; there are: {', '.join(boards) or 'none yet'}"
        raise Problem(404, "unknown-board", detail, boards=boards)
    found = board_record(record.value)
    head = msgspec.json.encode({"board": found.board, "day": found.day, "published_ns": found.published_ns})
    return json_response(head[:-1] + b',"entries":' + first(bytes(found.entries), limit) + b"}")


Symbols = Annotated[str | None, Query(description="Only these, separated by commas.", max_length=8000)]
After = Annotated[str | None, Query(description="Symbols after this one: `next` of the page before.")]
PageSize = Annotated[int, Query(ge=1, le=50_000, description="At most so many.")]


def page_of(gateway: Gateway, table: PublicTable, symbols: str | None, after: str | None, limit: int) -> Response:
    """Rows of a table by symbol; `count` is the number of all, `next` is null on the last page."""
    if symbols is not None:
        named = dict.fromkeys(each.strip() for each in symbols.split(",") if each.strip())
        found = (gateway.view.get(table, symbol_of(gateway, name)) for name in named)
        records = [record for record in found if record is not None]
    else:
        records = gateway.view.rows(table)
    if after is not None:
        records = [record for record in records if record.key > after]
    page = records[:limit]
    following = msgspec.json.encode(page[-1].key if len(records) > len(page) else None)
    rows = array(record.document() for record in page)
    body = b'{"count":%d,"%s":%s,"next":%s}' % (gateway.view.count(table), table.listed.encode(), rows, following)
    return json_response(body)


def symbol_of(gateway: Gateway, text: str) -> str:
    """The symbol that a text means: itself, else the only one of the same letters without regard to case.

    A text that means none is given back. Raises `Problem` (404): it may mean several.
    """
    found = gateway.view.spelled(text)
    if len(found) > 1:
        detail = f"there is no symbol {text!r}; there are {', '.join(found)}: upper and lower case tell them apart"
        raise Problem(404, "ambiguous-symbol", detail, symbols=found)
    return found[0] if found else text


def row_of(gateway: Gateway, table: PublicTable, symbol: str) -> bytes | None:
    """A symbol's document, None where there is none. Raises `Problem` as `symbol_of` does."""
    record = gateway.view.get(table, symbol_of(gateway, symbol))
    return None if record is None else record.document()


def page_example(table: PublicTable, row: dict[str, Any]) -> dict[int | str, dict[str, Any]]:
    """The answer of `page_of` for a route's `responses`."""
    return example("A page of rows", {"count": 6000, table.listed: [row], "next": row["symbol"]})


@router.get("/quotes", tags=["quotes"], responses=page_example(QUOTES, EXAMPLE_ROW))
async def list_quotes(gateway: Reads, symbols: Symbols = None, after: After = None, limit: PageSize = 1000) -> Response:
    """The rows of symbols, by symbol; `count` is the number of all, `next` is null on the last page."""
    return page_of(gateway, QUOTES, symbols, after, limit)


@router.get(
    "/quotes/{symbol}",
    tags=["quotes"],
    responses=example("The row", EXAMPLE_ROW) | response_of(404, "The symbol has not traded"),
)
async def get_quote(gateway: Reads, symbol: str) -> Response:
    """The row of a symbol, as it stands in `market.quotes`."""
    row = row_of(gateway, QUOTES, symbol)
    if row is None:
        detail = f"there is no quote of {symbol!r}: the symbol has not traded since the table began, or does not exist"
        raise Problem(404, "unknown-symbol", detail)
    return json_response(row)


@router.get("/status", tags=["status"], responses=example("As it is now", _STATUS))
async def get_status(gateway: Reads) -> Response:
    """What the page's status line shows: session, newest event, whether the tables are complete."""
    return json_response(msgspec.json.encode(gateway.status()))
