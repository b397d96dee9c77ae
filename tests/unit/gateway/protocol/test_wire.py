"""Frames and clients."""

import asyncio

import pytest
from websockets.frames import Frame, Opcode

from app.gateway.feeds.client import Client
from app.gateway.protocol.messages import Close
from app.gateway.protocol.wire import text_frame


class Pipe:
    """A connection that takes frames only while it is open to them."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.closed: int | None = None
        self._writable = asyncio.Event()
        self._writable.set()

    @property
    def ready(self) -> bool:
        return self._writable.is_set()

    @property
    def gone(self) -> bool:
        return self.closed is not None

    def write(self, frame: bytes) -> None:
        self.frames.append(frame)

    async def drained(self) -> None:
        await self._writable.wait()

    def close(self, code: int, reason: str) -> None:
        self.closed = code

    def notify(self, payload: bytes) -> None:
        self.write(text_frame(payload))

    def block(self) -> None:
        self._writable.clear()

    def unblock(self) -> None:
        self._writable.set()


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536, 500_000])
def test_a_frame_is_what_websockets_makes(size: int) -> None:
    payload = b"x" * size
    assert text_frame(payload) == Frame(Opcode.TEXT, payload).serialize(mask=False)


async def test_while_a_client_is_behind_the_newest_state_of_each_key_waits() -> None:
    pipe = Pipe()
    client = Client(pipe, slow_s=30)
    client.offer("a", b"a1")
    pipe.block()
    for frame in (b"a2", b"b1", b"a3"):
        client.offer(frame[:1], frame)
    await client.answer(b"{}")
    assert pipe.frames == [b"a1"]
    assert client.counts.conflated == 1
    sender = asyncio.create_task(client.run())
    pipe.unblock()
    async with asyncio.timeout(5):
        while client.waiting:
            await asyncio.sleep(0)
    assert pipe.frames == [b"a1", text_frame(b"{}"), b"a3", b"b1"], "answers first, then the newest states in order"
    client.close(Close.SHUTDOWN)
    await sender


async def test_a_client_that_takes_nothing_is_closed_as_slow_and_its_queue_dropped() -> None:
    pipe = Pipe()
    client = Client(pipe, slow_s=0.02)
    pipe.block()
    client.offer("a", b"a1")
    async with asyncio.timeout(5):
        await client.run()
    assert pipe.closed == Close.SLOW
    assert client.waiting == 0


def test_codes_say_whether_to_come_back() -> None:
    final = {code for code in Close if code >= 4500}
    assert final == {Close.UNAUTHORIZED, Close.INVALID_KEY, Close.INVALID_TOKEN, Close.EXPIRED_TOKEN}
    assert all(code.reason for code in Close)
