"""One client's outgoing side: bounded, conflating, never in the way of others."""

import asyncio
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass

import structlog

from app.gateway.protocol.messages import Close
from app.gateway.protocol.wire import Wire, text_frame

log = structlog.get_logger(__name__)

#: Answers that wait to be sent; beyond it the client's next request waits, not the gateway.
MAX_REPLIES = 64

#: Makes frames at the moment when they can be sent: for what must not be outdated by then.
Late = Callable[[], list[bytes]]


@dataclass(slots=True)
class ClientCounts:
    """What one client was sent, and what newer states took the place of."""

    sent: int = 0
    conflated: int = 0


class Client:
    """The frames on their way to one connection.

    While the connection takes more, a frame is written at once. While it does not, the newest
    frame of each key waits, so that what waits is bounded by what was subscribed to. A client that
    takes nothing for `slow_s` is closed with `Close.SLOW`.
    """

    def __init__(self, wire: Wire, slow_s: float) -> None:
        self.wire, self.counts = wire, ClientCounts()
        self._slow_s = slow_s
        #: Who it is, once that is known.
        self.subject: str | None = None
        #: Why the connection ended: the code of whoever closed it first.
        self.close_code: int | None = None
        self._replies: deque[bytes] = deque()
        self._states: dict[Hashable, bytes | Late] = {}
        self._work = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    @property
    def waiting(self) -> int:
        """How many frames wait to be sent."""
        return len(self._replies) + len(self._states)

    def offer(self, key: Hashable, frame: bytes | Late) -> None:
        """Send a state; while the client is behind it takes the place of the one that waits under its key."""
        if self.wire.ready and not self._states and not self._replies:
            self._write(frame)
            return
        if key in self._states:
            self.counts.conflated += 1
        self._states[key] = frame
        self._work.set()

    def behind(self) -> bool:
        """Whether something waits: what is offered now is not sent at once."""
        return bool(self._states or self._replies or not self.wire.ready)

    def waits(self, key: Hashable) -> bool:
        """Whether a state waits under a key."""
        return key in self._states

    def forget(self, key: Hashable) -> None:
        """Drop the state that waits under a key."""
        self._states.pop(key, None)

    def forget_all(self, chosen: Callable[[Hashable], bool]) -> None:
        """Drop the states that wait under the chosen keys."""
        for key in [key for key in self._states if chosen(key)]:
            del self._states[key]

    async def answer(self, payload: bytes) -> None:
        """Send an answer, in order and never conflated; waits while too many are on their way."""
        frame = text_frame(payload)
        if self.wire.ready and not self._replies:
            self._write(frame)
            return
        while len(self._replies) >= MAX_REPLIES and not self.wire.gone:
            self._room.clear()
            await self._room.wait()
        self._replies.append(frame)
        self._work.set()

    async def run(self) -> None:
        """The client's one sender: ends when the connection is gone."""
        while not self.wire.gone:
            await self._work.wait()
            if not await self._drained():
                return
            self._send_some()
            if not self._states and not self._replies:
                self._work.clear()

    def close(self, code: Close) -> None:
        """Close the connection, telling why."""
        self._states.clear()
        self._replies.clear()
        self.close_code = self.close_code or int(code)
        self.wire.close(code, code.reason)
        self._work.set()
        self._room.set()

    async def _drained(self) -> bool:
        try:
            async with asyncio.timeout(self._slow_s):
                await self.wire.drained()
        except TimeoutError:
            log.info("slow_client_closed", waiting=self.waiting, conflated=self.counts.conflated)
            self.close(Close.SLOW)
        return not self.wire.gone

    def _send_some(self) -> None:
        while self.wire.ready and (self._replies or self._states):
            if self._replies:
                self._write(self._replies.popleft())
                if len(self._replies) < MAX_REPLIES:
                    self._room.set()
            else:
                key = next(iter(self._states))
                self._write(self._states.pop(key))

    def _write(self, frame: bytes | Late) -> None:
        frames = [frame] if isinstance(frame, bytes) else frame()
        for each in frames:
            self.wire.write(each)
        self.counts.sent += len(frames)
