"""`/api/operator`: for the role operator only."""

from typing import Annotated, Any

import msgspec
from aiokafka.errors import KafkaError
from fastapi import APIRouter, Body, Depends, Path, Query, Request
from fastapi.responses import Response

from app.errors import UNREADABLE
from app.gateway.gateway import Gateway
from app.gateway.http.control import Operator
from app.gateway.http.login import operates
from app.gateway.http.rest import gateway_of, identified
from app.gateway.protocol.problems import Problem, response_of
from app.observability.operations import CONTROL_HEADER


async def operating(request: Request) -> Gateway:
    """The gateway, for operators. Raises `Problem`: 401, 403."""
    operates((await identified(request)).role)
    gateway = gateway_of(request)
    if not gateway.access.origin_allowed(request.headers):
        raise Problem(403, "another-origin", "pages of other sites may not control this gateway")
    if request.method != "GET" and CONTROL_HEADER not in request.headers:
        raise Problem(403, "no-control-header", f"expected the header {CONTROL_HEADER}, with any value")
    return gateway


Operates = Annotated[Gateway, Depends(operating)]
Channel = Annotated[str, Path(pattern=r"^[A-Z]+\.(\*|[A-Za-z0-9.:_-]+)$", examples=["T.AAPL"])]

router = APIRouter(
    prefix="/api/operator",
    tags=["operator"],
    responses=response_of(401, "Not signed in") | response_of(403, "Not an operator, or a page of another site"),
)
_UNAVAILABLE = response_of(502, "What was asked does not answer")


def _example(example: Any) -> dict[int | str, dict[str, Any]]:
    return {200: {"description": "As it is now", "content": {"application/json": {"example": example}}}}


def _json(body: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(body), status, {"Cache-Control": "no-store"}, "application/json")


def _operator(gateway: Gateway) -> Operator:
    return Operator(gateway.settings)


@router.get(
    "/processes",
    responses=_example({"running": True, "processes": [{"name": "worker-1", "pid": 7, "alive": True, "restarts": 0}]}),
)
async def list_processes(gateway: Operates) -> Response:
    """What `tapereader up` runs on this machine."""
    return _json(_operator(gateway).processes())


@router.post(
    "/workers/{name}/restart",
    responses=_example({"worker": "worker-1", "restarting": True}) | response_of(404, "There is none of that name"),
)
async def restart_worker(gateway: Operates, name: str) -> Response:
    """End a worker in order; it is started again and goes on where its state ends."""
    return _json(_operator(gateway).restart(name))


@router.get(
    "/lag",
    responses=_example({"group": "tapereader", "lag": 12, "topics": {"massive.trades": 12}, "standing": []})
    | _UNAVAILABLE,
)
async def consumer_lag(gateway: Operates) -> Response:
    """How many records the workers have still to read, by topic, and which partitions stand still."""
    found = gateway.platform.latest
    if found is None:
        raise Problem(502, "kafka-unavailable", "Kafka does not say how far the workers are")
    topics = found.by_topic()
    said = {"lag": sum(topics.values()), "topics": topics, "standing": found.standing}
    return _json({"group": gateway.settings.app_id, **said})


@router.get("/feeds", responses=_example({"feeds": [{"feed": "scanners:top_volume", "options": {}, "clients": 3}]}))
async def list_feeds(gateway: Operates) -> Response:
    """What is subscribed to at this gateway process, and by how many clients."""
    return _json({"feeds": gateway.hub.described_channels()})


@router.get(
    "/clients",
    responses=_example({"clients": [{"subject": "ann", "feeds": 4, "waiting": 0, "sent": 812, "conflated": 0}]}),
)
async def list_clients(gateway: Operates) -> Response:
    """The clients of this gateway process: who they are, what was sent, what waits, what newer states replaced."""
    return _json({"clients": gateway.hub.described_clients()})


@router.get("/subscriptions", responses=_example(["A.*", "T.*"]) | _UNAVAILABLE)
async def producer_subscriptions(gateway: Operates) -> Response:
    """The producer's channels."""
    return await _proxied(gateway, "GET", "/subscriptions")


@router.put("/subscriptions", responses=_example(["A.*", "T.AAPL"]) | _UNAVAILABLE)
async def replace_subscriptions(
    gateway: Operates, channels: Annotated[list[str], Body(max_length=10_000, examples=[["A.*", "T.AAPL"]])]
) -> Response:
    """Subscribe the producer to these channels and no others."""
    return await _proxied(gateway, "PUT", "/subscriptions", msgspec.json.encode(channels))


@router.post("/subscriptions/{channel}", responses=_example(["A.*", "T.AAPL"]) | _UNAVAILABLE)
async def add_subscription(gateway: Operates, channel: Channel) -> Response:
    """Subscribe the producer to one more channel."""
    return await _proxied(gateway, "POST", f"/subscriptions/{channel}")


@router.delete("/subscriptions/{channel}", responses=_example(["A.*"]) | _UNAVAILABLE)
async def remove_subscription(gateway: Operates, channel: Channel) -> Response:
    """End one of the producer's subscriptions."""
    return await _proxied(gateway, "DELETE", f"/subscriptions/{channel}")


_LEFT_OUT = {
    "refused": [{"topic": "massive.trades", "reason": "AheadOfReceiptError", "records": 3}],
    "late": {"massive.aggregates": 12},
}


@router.get("/left-out", responses=_example(_LEFT_OUT) | _UNAVAILABLE)
async def list_left_out(gateway: Operates) -> Response:
    """What the tables do not hold: refused records by topic and reason, late ones by topic.

    Refused are the dead letters that Kafka has; late are those that workers of this machine's `up` left out since they
    started, elsewhere `tapereader.events.late` of their metrics.
    """
    try:
        return _json(await _operator(gateway).left_out())
    except (KafkaError, OSError) as error:
        raise Problem(502, "kafka-unavailable", f"Kafka does not answer: {type(error).__name__}") from None


@router.get(
    "/dead-letters",
    responses=_example({"dead_letters": [{"time_ms": 1795210201000, "topic": "massive.trades", "partition": 0,
                                          "offset": 41, "reason": "ValueError: …"}]}) | _UNAVAILABLE,
)  # fmt: skip
async def list_dead_letters(gateway: Operates, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> Response:
    """What could not be processed, newest first."""
    try:
        return _json({"dead_letters": await _operator(gateway).dead_letters(limit)})
    except (KafkaError, OSError) as error:
        raise Problem(502, "kafka-unavailable", f"Kafka does not answer: {type(error).__name__}") from None


async def _proxied(gateway: Gateway, method: str, path: str, body: bytes | None = None) -> Response:
    status, answer = await _operator(gateway).producer(method, path, body)
    if status < 400:
        return Response(answer, status, {"Cache-Control": "no-store"}, "application/json")
    try:
        detail = str(msgspec.json.decode(answer)["error"])
    except (*UNREADABLE, KeyError, TypeError):
        detail = f"the producer answered {status}"
    raise Problem(status if status < 500 else 502, "producer-refused", detail)
