"""What every process answers to those who run it: metrics, health, readiness, the level of its logs.

`GET /metrics`, `GET /healthz` (it runs and works), `GET /readyz` (200, or 503 with the reasons), `GET` and
`PUT /control/log-level` (of this machine only). Who has an aiohttp server adds `routes`; the gateway
has the same by FastAPI.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from ipaddress import ip_address
from typing import Any

import msgspec
import structlog
from aiohttp import web

from app import __version__
from app.errors import UNREADABLE, SettingsError, StartupError
from app.observability import logs
from app.observability.meters import Meters
from app.observability.metrics import READY
from app.settings import Settings

log = structlog.get_logger(__name__)


class Operations:
    """The answers of one process.

    `reasons` says why it is not ready (empty: it is), `faults` why it runs and does not work, `facts` what else it
    says.
    """

    def __init__(
        self,
        settings: Settings,
        service: str,
        reasons: Callable[[], list[str]] = list,
        facts: Callable[[], Mapping[str, Any]] = dict,
        faults: Callable[[], list[str]] = list,
    ) -> None:
        self.service, self._reasons, self._facts, self._faults = service, reasons, facts, faults
        self.meters = Meters(settings, service)
        self.meters.observe(READY, lambda: [(not self._reasons(), {})])

    def health(self) -> dict[str, Any]:
        """What `GET /healthz` answers."""
        return self.healthiness()[1]

    def healthiness(self) -> tuple[int, dict[str, Any]]:
        """Status and body of `GET /healthz`: 503 where the process runs and does not work."""
        faults = self._faults()
        said = {"status": "standing", "faults": faults} if faults else {"status": "ok"}
        return 503 if faults else 200, {"service": self.service, **said, "version": __version__, **self._facts()}

    def readiness(self) -> tuple[int, dict[str, Any]]:
        """Status and body of `GET /readyz`."""
        reasons = self._reasons()
        return 503 if reasons else 200, {"ready": not reasons, "reasons": reasons}

    @staticmethod
    def level(remote: str | None, body: bytes | None = None) -> tuple[int, dict[str, Any]]:
        """Status and body of `/control/log-level`: the level, after it was set where a body says to what.

        A body is `{"level": "DEBUG"}`. Who does not ask from this machine is refused.
        """
        if not is_loopback(remote):
            return 403, {"error": f"{remote} may not: the level of the logs is set from the process's own machine"}
        if body is not None:
            try:
                logs.set_level(msgspec.json.decode(body, type=dict[str, str])["level"])
            except (*UNREADABLE, KeyError, SettingsError) as error:
                return 400, {"error": f'expected {{"level": "DEBUG"}}: {error}'}
        return 200, {"level": logs.level()}

    def routes(self) -> list[web.RouteDef]:
        """The routes for a server of aiohttp's."""

        async def exposition(_: web.Request) -> web.Response:
            return web.Response(body=self.meters.exposition(), headers={"Content-Type": self.meters.content_type})

        async def health(_: web.Request) -> web.Response:
            status, body = self.healthiness()
            return web.json_response(body, status=status)

        async def readiness(_: web.Request) -> web.Response:
            status, body = self.readiness()
            return web.json_response(body, status=status)

        async def level(request: web.Request) -> web.Response:
            # Who asks is looked at before anything of what is sent.
            body = await request.read() if request.method == "PUT" and is_loopback(request.remote) else None
            status, answer = self.level(request.remote, body)
            return web.json_response(answer, status=status)

        return [
            web.get("/metrics", exposition),
            web.get("/healthz", health),
            web.get("/readyz", readiness),
            web.get("/control/log-level", level),
            web.put("/control/log-level", level),
        ]


#: A header that no page of another site can send unasked: a browser asks first, which no control here allows.
CONTROL_HEADER = "X-Tapereader-Control"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def refusal_of_change(request: web.Request, *, header_needed: bool) -> str | None:
    """Why a request may not change anything: it comes from a web page, or does not say that it means to. None: it may.

    Browsers send `Origin` with whatever a page changes, also after DNS rebinding; programs do not.
    """
    if request.method in ("GET", "HEAD"):
        return None
    if "Origin" in request.headers or request.headers.get("Sec-Fetch-Site", "none") != "none":
        return "web pages may not control this process: use the gateway's operator page, or a program"
    if header_needed and CONTROL_HEADER not in request.headers:
        return f"expected the header {CONTROL_HEADER}, with any value"
    return None


def changes_guarded(*, header_needed: bool) -> Any:
    """An aiohttp middleware that answers 403 to changes that `refusal_of_change` refuses, before a body is read."""

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        refusal = refusal_of_change(request, header_needed=header_needed)
        if refusal is not None:
            return web.json_response({"error": refusal}, status=403)
        return await handler(request)

    return guarded


def is_loopback(remote: str | None) -> bool:
    """Whether a peer's address is this machine's own."""
    try:
        return remote is not None and ip_address(remote).is_loopback
    except ValueError:
        return False


@asynccontextmanager
async def served(app: web.Application, host: str, port: int, setting: str) -> AsyncIterator[int]:
    """Serve an application while the context lasts; gives the port, which the machine chooses for 0.

    Raises `StartupError`, naming the setting, when the port is taken.
    """
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            raise StartupError(
                f"cannot listen on {host}:{port}: {error.strerror}; set {setting} to another port"
            ) from error
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()
