"""The gateway as an ASGI application: page, REST, WebSocket, health."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
from fastapi import Depends, FastAPI, Request, Response
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import FileResponse
from starlette.routing import WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.gateway.access.access import Access
from app.gateway.clients.session import SocketEndpoint
from app.gateway.gateway import Gateway
from app.gateway.http import filters, login, operator, rest, stream, symbols, tables
from app.gateway.http.bounds import Bounds
from app.gateway.http.reference import reference_routes
from app.gateway.page.build import BUILD_DIR
from app.gateway.protocol import problems
from app.gateway.tables.references import References
from app.observability.operations import is_loopback
from app.settings import Settings

_HEALTH = {"status": "ok", "ready": True, "symbols": 6000, "boards": 7, "clients": 12, "subscriptions": 40}
_NOT_BUILT = b"""<!doctype html><html lang="en"><title>Tapereader</title>
<p>The page is not built: run <code>python -m app.gateway.page.build</code>, then reload.
The API is there: <a href="/openapi.json">/openapi.json</a>.</p></html>"""

_SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; connect-src 'self'; img-src 'self' data:; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    # The page is small and has an ETag: asking again costs nothing, and an update is seen at once.
    "Cache-Control": "no-cache",
}


class SecurityHeaders:
    """Adds the headers that keep a browser from loading or running anything of others'."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request of the application below, with the headers on its answer."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, with_headers)


class HostCheck:
    """Refuses requests that name another host than this one, where nobody signs in (421, or the socket is refused)."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self.app, self._access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request of the application below, where it is meant for this gateway."""
        if scope["type"] == "lifespan" or self._access.host_allowed(Headers(scope=scope).get("host", "")):
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            detail = (
                "this gateway does not have the name that the request was sent to; TAPEREADER_GATEWAY_HOSTS lists "
                "the names of an open gateway"
            )
            answer = problems.problem_response(Request(scope), problems.Problem(421, "unknown-host", detail))
            await answer(scope, receive, send)


def create_api(settings: Settings, gateway: Gateway | None = None) -> FastAPI:
    """The application; it runs the gateway while it is up.

    Raises `SettingsError` where the gateway would be open to a network unasked.
    """
    served = gateway or Gateway(settings)
    references = References(settings, served.conditions, served.fail)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with references.opened(), served:
            yield

    api = FastAPI(
        title="Tapereader",
        summary="Live scanners over the US-equities tape",
        description="Boards and quotes by REST; live by WebSocket at `/ws` (docs/protocol.md).",
        version="1",
        # FastAPI's own document pages load their scripts from a CDN; the document itself is at /openapi.json.
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    api.state.gateway = served
    problems.install(api)
    api.include_router(rest.router)
    api.include_router(tables.router)
    api.include_router(symbols.router)
    api.include_router(filters.router)
    api.include_router(stream.router)
    api.include_router(operator.router)
    api.include_router(login.session_router)
    login.install(api, settings, served.access.session_secret)
    api.include_router(reference_routes(references.cache), dependencies=[Depends(rest.authorized)])
    _add_health(api)
    endpoint = SocketEndpoint(served.view, served.hub, served.access, slow_s=settings.gateway_slow_client_s)
    api.router.routes.append(WebSocketRoute("/ws", endpoint))
    _add_page(api)
    api.add_middleware(GZipMiddleware, minimum_size=2048, compresslevel=3)
    api.add_middleware(SecurityHeaders)
    api.add_middleware(HostCheck, access=served.access)
    # Added last: it is in front of all the others.
    api.add_middleware(Bounds)
    return api


def _add_health(api: FastAPI) -> None:
    @api.get("/healthz", tags=["status"], responses=rest.example("The counts", _HEALTH))
    async def healthz(request: Request) -> Response:
        """The process answers; counts of what it serves."""
        return _json(rest.gateway_of(request).operations.health())

    @api.get(
        "/readyz",
        tags=["status"],
        responses=rest.example("Ready", {"ready": True, "reasons": []})
        | {503: {"description": "Not ready; `reasons` says why"}},
    )
    async def readyz(request: Request) -> Response:
        """Whether the tables are complete and followed; 503 with the reasons where not."""
        status, body = rest.gateway_of(request).operations.readiness()
        return _json(body, status)

    @api.get(
        "/metrics",
        tags=["status"],
        response_class=Response,
        responses={
            200: {"description": "The metrics", "content": {"text/plain": {"example": "tapereader_clients 12\n"}}},
            401: {"description": "No API key, or a wrong one"},
        },
    )
    async def metrics(gateway: rest.Reads) -> Response:
        """Prometheus's metrics of this process (docs/metrics.md)."""
        meters = gateway.operations.meters
        return Response(meters.exposition(), media_type=meters.content_type, headers={"Cache-Control": "no-store"})

    @api.api_route("/control/log-level", methods=["GET", "PUT"], include_in_schema=False)
    async def log_level(request: Request) -> Response:
        remote = request.client.host if request.client is not None else None
        # Who asks is looked at before anything of what is sent.
        body = await request.body() if request.method == "PUT" and is_loopback(remote) else None
        status, answer = rest.gateway_of(request).operations.level(remote, body)
        return _json(answer, status)


def _add_page(api: FastAPI) -> None:
    if (BUILD_DIR / "operator.html").exists():

        @api.get("/operator", include_in_schema=False)
        async def operator_page() -> Response:
            return FileResponse(BUILD_DIR / "operator.html")

    if (BUILD_DIR / "index.html").exists():
        api.mount("/", StaticFiles(directory=BUILD_DIR, html=True), name="page")
        return

    @api.get("/", include_in_schema=False)
    async def not_built() -> Response:
        return Response(_NOT_BUILT, 503, media_type="text/html")


def _json(body: object, status: int = 200) -> Response:
    return Response(
        msgspec.json.encode(body), status, media_type="application/json", headers={"Cache-Control": "no-store"}
    )
