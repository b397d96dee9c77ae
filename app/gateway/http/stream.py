"""`GET /api/stream`: feeds as server-sent events."""

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import Response

from app import clock
from app.gateway.clients.event_stream import EventStream
from app.gateway.feeds.filtering import fitted
from app.gateway.http.rest import gateway_of, identified
from app.gateway.protocol import messages as protocol
from app.gateway.protocol.messages import Options, ProtocolError, Since
from app.gateway.protocol.problems import Problem, response_of

router = APIRouter(prefix="/api", tags=["stream"], responses=response_of(401, "No sign-in, or a wrong one"))

MAX_FEEDS = 50

_EXAMPLE = (
    'retry: 1000\nevent: subscribed\ndata: {"status":"subscribed","feeds":["scanners:top_volume"]}\n\n'
    'id: 18a1-3:7\ndata: {"feed":"scanners:top_volume","epoch":"18a1-3","offset":7,'
    '"delta":{"upsert":[…],"remove":[]}}\n\n'
)


@router.get(
    "/stream",
    response_class=Response,
    responses={200: {"description": "Events, for ever", "content": {"text/event-stream": {"example": _EXAMPLE}}}}
    | response_of(400, "An option that does not fit; `code` is that of the WebSocket protocol")
    | response_of(503, "The gateway has as many clients as it takes"),
)
async def stream(
    request: Request,
    feed: Annotated[list[str], Query(description="What to follow; several times for several feeds.")],
    limit: Annotated[int | None, Query(description="The first entries of a list only.")] = None,
    fields: Annotated[str | None, Query(description="These fields of each row only, comma-separated.")] = None,
    max_rate: Annotated[float | None, Query(description="At most so many states a second.")] = None,
    mode: Annotated[str, Query(description="`state`, or `delta`: a snapshot, then what changed.")] = "state",
    envelope: Annotated[bool, Query(description="false: the bare documents, in mode state.")] = True,
    filter: Annotated[str | None, Query(description="The rows that match only; lists and scans.")] = None,
    sort: Annotated[str | None, Query(description="Order of a scan's rows.")] = None,
    last_event_id: Annotated[
        str | None, Header(alias="Last-Event-ID", description="Mode delta: `epoch:offset` of the last event.")
    ] = None,
) -> Response:
    """Feeds as server-sent events, with the options of a WebSocket subscription (docs/protocol.md).

    In mode delta a browser that reconnects sends the position of the last event by itself, and gets what it missed.
    """
    identity, gateway = await identified(request), gateway_of(request)
    if not gateway.access.origin_allowed(request.headers):
        raise Problem(403, "another-origin", "this gateway is open to pages of its own and of this machine only")
    body = {
        "limit": limit, "fields": None if fields is None else [each.strip() for each in fields.split(",")],
        "max_rate": max_rate, "mode": mode, "envelope": envelope, "filter": filter, "sort": sort,
    }  # fmt: skip
    if gateway.hub.closing or gateway.hub.full():
        raise Problem(503, "full", "the gateway has as many clients as it takes, or is shutting down")
    try:
        feeds = _wanted(gateway, list(dict.fromkeys(feed)), body)
    except ProtocolError as error:
        raise Problem(400, error.code.replace("_", "-"), str(error), code=error.code, **error.more) from None
    ends_in_s = None if identity.expires_s is None else max(0.0, identity.expires_s - clock.wall_s())
    slow_s = gateway.settings.gateway_slow_client_s
    return EventStream(gateway.hub, feeds, _since(last_event_id), slow_s, identity.subject, ends_in_s)


def _wanted(gateway: Any, feeds: list[str], body: dict[str, Any]) -> list[tuple[str, Options]]:
    """The feeds with their options. Raises `ProtocolError`."""
    if len(feeds) > MAX_FEEDS:
        raise ProtocolError("too_many_subscriptions", f"expected at most {MAX_FEEDS} feeds, was {len(feeds)}")
    given = {name: value for name, value in body.items() if value is not None}
    wanted = []
    for each in feeds:
        request = protocol.Request("subscribe", None, {"feed": each, **given})
        options = fitted(protocol.name(request, "feed"), protocol.options(request))
        options = msgspec.structs.replace(options, encoding="event-stream")
        gateway.hub.check(None, each, options)
        wanted.append((each, options))
    return wanted


def _since(last_event_id: str | None) -> Since | None:
    """Where a client stood; what is no position is none, as that of another server may come."""
    epoch, _, offset = (last_event_id or "").rpartition(":")
    return Since(epoch, int(offset)) if epoch and offset.isascii() and offset.isdecimal() and len(offset) < 19 else None
