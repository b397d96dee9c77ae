"""The WebSocket endpoint: one client from its handshake to its close."""

import asyncio

import structlog
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from app import clock
from app.gateway.access.access import Access
from app.gateway.access.identity import Identity, SignInRefused
from app.gateway.feeds.client import Client
from app.gateway.feeds.filtering import fitted
from app.gateway.feeds.hub import Hub
from app.gateway.protocol import messages as protocol
from app.gateway.protocol.messages import Close, ProtocolError, Request, reply
from app.gateway.protocol.wire import EXTENSION, Wire
from app.gateway.tables.documents import first
from app.gateway.tables.view import View

log = structlog.get_logger(__name__)

#: A client may send this many messages at once and so many a second after that; then its next one waits.
BURST, MESSAGES_PER_S = 500.0, 100.0


#: Who has not signed in by then is closed: a page's first message comes within milliseconds.
AUTH_TIMEOUT_S = 5.0


class _Rate:
    """A token bucket that delays."""

    def __init__(self) -> None:
        self._tokens, self._at_s = BURST, clock.monotonic_s()

    async def take(self) -> None:
        """Wait until one more message is due."""
        now_s = clock.monotonic_s()
        self._tokens = min(BURST, self._tokens + (now_s - self._at_s) * MESSAGES_PER_S) - 1
        self._at_s = now_s
        if self._tokens < 0:
            await asyncio.sleep(-self._tokens / MESSAGES_PER_S)


class SocketEndpoint:
    """`/ws` as an ASGI application."""

    def __init__(
        self, view: View, hub: Hub, access: Access, *, slow_s: float, auth_timeout_s: float = AUTH_TIMEOUT_S
    ) -> None:
        self._view, self._hub, self._access = view, hub, access
        self._slow_s, self._auth_timeout_s = slow_s, auth_timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        headers = Headers(scope=scope)
        await receive()
        if not self._access.origin_allowed(headers):
            log.info("origin_refused", origin=headers.get("origin"))
            await send({"type": "websocket.close", "code": 1008})
            return
        await send({"type": "websocket.accept"})
        wire: Wire = scope["extensions"][EXTENSION]
        client = Client(wire, self._slow_s)
        if self._hub.closing or (self._hub.full() and self._hub.crowded()):
            client.close(Close.SHUTDOWN if self._hub.closing else Close.FULL)
            self._hub.ended(client)
            return
        try:
            identity = await self._access.of_request(headers, scope.get("session"))
        except SignInRefused:
            # Not refused yet: the first message may be the one that signs in.
            identity = None
        no_room = self._hub.crowded() if identity is None else self._hub.full()
        if self._hub.closing or no_room:
            client.close(Close.SHUTDOWN if self._hub.closing else Close.FULL)
            self._hub.ended(client)
            return
        self._hub.join(client, signed=identity is not None)
        sender = asyncio.create_task(client.run())
        sender.add_done_callback(lambda task: _close_failed(client, task))
        session = _Session(self._view, self._hub, self._access, client, identity)
        try:
            await session.run(receive, self._auth_timeout_s)
        finally:
            session.end()
            self._hub.leave(client)
            self._hub.ended(client)
            sender.cancel()
            await asyncio.gather(sender, return_exceptions=True)


def _close_failed(client: Client, sender: asyncio.Task[None]) -> None:
    """A client that is sent nothing any more is told so by the end of its connection."""
    error = None if sender.cancelled() else sender.exception()
    if error is not None:
        log.error("sender_failed", error=repr(error))
        client.close(Close.FAILED)


class _Session:
    """The dialogue with one client."""

    def __init__(self, view: View, hub: Hub, access: Access, client: Client, identity: Identity | None) -> None:
        self._view, self._hub, self._access, self._client = view, hub, access, client
        self._rate = _Rate()
        self._ending: asyncio.TimerHandle | None = None
        self._identity: Identity | None = None
        if identity is not None:
            self._sign_in(identity)

    def end(self) -> None:
        """Nothing is to happen any more."""
        if self._ending is not None:
            self._ending.cancel()

    async def run(self, receive: Receive, auth_timeout_s: float) -> None:
        """Answer messages until the client leaves."""
        if self._identity is None:
            try:
                async with asyncio.timeout(auth_timeout_s):
                    await self._next(receive)
            except TimeoutError:
                self._client.close(Close.AUTH_TIMEOUT)
        while not self._client.wire.gone and await self._next(receive):
            await self._rate.take()

    async def _next(self, receive: Receive) -> bool:
        message = await receive()
        if message["type"] != "websocket.receive":
            self._client.close_code = self._client.close_code or message.get("code")
            return False
        text = message.get("text")
        request: Request | None = None
        try:
            request = protocol.parse(text if text is not None else message.get("bytes") or b"")
            await self._serve(request)
        except ProtocolError as error:
            if self._identity is None:
                await self._refuse(Close.UNAUTHORIZED, "unauthorized", request)
                return False
            identity = request.id if request is not None else None
            await self._client.answer(reply("error", identity, code=error.code, message=str(error), **error.more))
        return True

    async def _serve(self, request: Request) -> None:
        if request.action == "auth":
            await self._auth(request)
        elif self._identity is None:
            await self._refuse(Close.UNAUTHORIZED, "unauthorized", request)
        elif request.action == "subscribe":
            await self._subscribe(request)
        elif request.action == "unsubscribe":
            await self._unsubscribe(request)
        elif request.action == "get":
            await self._get(request)
        elif request.action == "list":
            await self._client.answer(reply("subscriptions", request.id, feeds=self._hub.feeds(self._client)))
        elif request.action == "ping":
            await self._client.answer(reply("pong", request.id))
        else:
            await self._client.answer(reply("invalid action", request.id))

    async def _auth(self, request: Request) -> None:
        key, token = request.body.get("api_key"), request.body.get("token")
        if self._identity is not None and not key and token is None:
            # Signed in by the handshake: a page that has no key of its own says nothing new.
            await self._client.answer(reply("authorized", request.id))
            return
        try:
            identity = await self._access.of_token(token) if isinstance(token, str) else self._access.of_key(key)
        except SignInRefused as refused:
            await self._refuse_sign_in(refused, request)
            return
        if not self._hub.signed(self._client):
            self._client.close(Close.FULL)
            return
        self._sign_in(identity)
        await self._client.answer(reply("authorized", request.id))

    def _sign_in(self, identity: Identity) -> None:
        """From now on it is this one; at the end of a token the connection is closed, unless a new one came."""
        self._identity = identity
        self._client.subject = identity.subject
        self.end()
        if identity.expires_s is not None:
            left_s = max(0.0, identity.expires_s - clock.wall_s())
            self._ending = asyncio.get_running_loop().call_later(left_s, self._client.close, Close.SIGN_IN_ENDED)

    async def _refuse_sign_in(self, refused: SignInRefused, request: Request) -> None:
        if refused.fault == "invalid_key":
            await self._refuse(Close.INVALID_KEY, "invalid key", request)
            return
        codes = {"expired_token": Close.EXPIRED_TOKEN, "keys_unavailable": Close.KEYS_UNAVAILABLE}
        answer = reply("invalid token", request.id, code=refused.fault, message=str(refused))
        await self._client.answer(answer)
        self._client.close(codes.get(refused.fault, Close.INVALID_TOKEN))

    async def _refuse(self, code: Close, status: str, request: Request | None) -> None:
        await self._client.answer(reply(status, request.id if request is not None else None))
        self._client.close(code)

    async def _subscribe(self, request: Request) -> None:
        feed, options, since = protocol.name(request, "feed"), protocol.options(request), protocol.since(request)
        snapshot = protocol.flag(request, "snapshot", options.envelope)
        options = fitted(feed, options)
        self._hub.check(self._client, feed, options)
        await self._client.answer(reply("subscribed", request.id, feed=feed, **self._similar(feed)))
        self._hub.subscribe(self._client, feed, options, snapshot or options.mode == "delta", since)

    async def _unsubscribe(self, request: Request) -> None:
        feed = protocol.name(request, "feed")
        self._hub.unsubscribe(self._client, feed)
        await self._client.answer(reply("unsubscribed", request.id, feed=feed))

    async def _get(self, request: Request) -> None:
        cache, limit = protocol.name(request, "cache"), protocol.limit(request)
        record = self._view.find(cache)
        data = b"null" if record is None else first(record.document(), limit)
        await self._client.answer(protocol.got(cache, data, request.id, **self._similar(cache)))

    def _similar(self, feed: str) -> dict[str, list[str]]:
        """What a client may mean that names a symbol in letters of another case; nothing where there is the feed."""
        found = self._view.similar(feed)
        return {"similar": found} if found else {}
