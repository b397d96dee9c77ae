"""`tapereader gateway`: the gateway's process."""

import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
import uvicorn

from app.errors import GatewayFailed, StartupError
from app.gateway.gateway import Gateway
from app.gateway.http.api import create_api
from app.gateway.http.bounds import BoundedHead
from app.gateway.protocol.messages import MAX_MESSAGE_BYTES
from app.gateway.protocol.wire import FrameProtocol
from app.observability import tracing
from app.settings import Settings

log = structlog.get_logger(__name__)


class GatewayServer(uvicorn.Server):
    """uvicorn that lets the gateway take leave of its clients before their connections are closed."""

    def __init__(self, config: uvicorn.Config, gateway: Gateway) -> None:
        super().__init__(config)
        self.gateway = gateway

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop at SIGTERM and SIGINT; unlike uvicorn's own, a stop that was asked for ends the process with 0."""
        previous = {each: signal.signal(each, self.handle_exit) for each in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for each, handler in previous.items():
                signal.signal(each, handler)

    async def on_tick(self, counter: int) -> bool:
        """Whether to stop: asked to, or the gateway has failed."""
        return await super().on_tick(counter) or self.gateway.failure is not None

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Tell the clients, then stop as uvicorn does."""
        await self.gateway.say_goodbye()
        await super().shutdown(sockets)


def make_server(settings: Settings) -> GatewayServer:
    """The server of these settings, not running yet."""
    gateway = Gateway(settings)
    config = uvicorn.Config(
        create_api(settings, gateway),
        host=settings.http_host,
        port=settings.http_port,
        loop="uvloop",
        http=BoundedHead,
        ws=FrameProtocol,
        ws_max_size=MAX_MESSAGE_BYTES,
        # Shared frames are not compressed: compressing is per connection and costs more than all else here.
        ws_per_message_deflate=False,
        ws_ping_interval=20.0,
        ws_ping_timeout=20.0,
        timeout_graceful_shutdown=5,
        access_log=False,
        log_config=None,
        log_level="warning",
        server_header=False,
    )
    return GatewayServer(config, gateway)


def run(settings: Settings) -> None:
    """Serve until told to stop (SIGTERM, SIGINT).

    Raises `StartupError` where the port is taken, `GatewayFailed` where it cannot go on, and `SettingsError` where the
    gateway would be open to a network unasked.
    """
    tracing.configure(settings, "gateway")
    server = make_server(settings)
    listener = _listen(settings.http_host, settings.http_port, shared=settings.gateways > 1)
    log.info("gateway_listening", url=f"http://{settings.http_host}:{settings.http_port}/")
    server.run(sockets=[listener])
    tracing.close()
    failure = server.gateway.failure
    if failure is not None:
        raise GatewayFailed(f"the gateway ended, to be started again: {failure!r}") from failure
    log.info("gateway_stopped")


def _listen(host: str, port: int, *, shared: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        # The kernel deals new connections out to all gateways that listen on the port.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise StartupError(
            f"the gateway cannot listen on {host}:{port}: {error.strerror}; "
            "end what uses it, or set TAPEREADER_HTTP_PORT"
        ) from error
    return listener


if __name__ == "__main__":
    run(Settings.load())
