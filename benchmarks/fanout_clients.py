"""The clients of the fan-out benchmark: many sockets in one process, that read and count."""

import asyncio
import os
import socket
import struct
import time
from multiprocessing.connection import Connection
from typing import Any, cast

import uvloop

MESSAGE_BYTES = 500
#: Two bytes of head and two of length.
FRAME_BYTES = MESSAGE_BYTES + 4
_TIME_AT = len('{"symbol":"FAN","t":') + 4
#: Every so-manieth client looks at the times in its messages; the others only count bytes.
SAMPLED = 20


def upgrade(path: str = "/ws") -> bytes:
    """A WebSocket handshake."""
    return (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode()


def masked(text: bytes) -> bytes:
    """A client's text frame of less than 64 KiB."""
    mask = os.urandom(4)
    size = bytes((0x80 | len(text),)) if len(text) < 126 else b"\xfe" + struct.pack("!H", len(text))
    return b"\x81" + size + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(text))


SUBSCRIBE = masked(b'{"action":"subscribe","feed":"quote:FAN"}')


class Reader(asyncio.Protocol):
    """One client: subscribes, then counts."""

    def __init__(self, sampled: bool) -> None:
        self._sampled = sampled
        self._rest = b""
        self._open = self._upgraded = False
        self.read_bytes = 0
        self.latencies_ns: list[int] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the connection."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(upgrade())

    def data_received(self, data: bytes) -> None:
        """Subscribe when the connection is there, then count; of a sampled client, look at each message's time."""
        self.read_bytes += len(data)
        if not self._upgraded and b"\r\n\r\n" in data:
            self._upgraded = True
            self._transport.write(SUBSCRIBE)
        if not self._sampled:
            return
        now = time.monotonic_ns()
        data = self._rest + data
        at = data.find(b'\x81\x7e\x01\xf4{"symbol"') if not self._open else 0
        if at < 0:
            self._rest = data
            return
        self._open = True
        while at + FRAME_BYTES <= len(data):
            self.latencies_ns.append(now - int(data[at + _TIME_AT : at + _TIME_AT + 20]))
            at += FRAME_BYTES
        self._rest = data[at:]


def clients(port: int, count: int, control: Connection) -> None:
    """The process: connects, then answers `bytes` and `latencies`, until `end`."""
    uvloop.run(_serve(port, count, control))


async def _serve(port: int, count: int, control: Connection) -> None:
    loop = asyncio.get_running_loop()
    readers = []
    transports: list[asyncio.BaseTransport] = []
    for number in range(count):
        transport, reader = await loop.create_connection(lambda n=number: Reader(n % SAMPLED == 0), "127.0.0.1", port)
        readers.append(reader)
        transports.append(transport)
    control.send(count)
    while (asked := await loop.run_in_executor(None, control.recv)) != "end":
        answer: Any = sum(reader.read_bytes for reader in readers)
        if asked == "latencies":
            answer = [each for reader in readers for each in reader.latencies_ns]
            for reader in readers:
                reader.latencies_ns.clear()
        control.send(answer)
    for transport in transports:
        transport.close()


class Blocking:
    """A client of blocking reads: one that joins, or one that never reads."""

    def __init__(self, port: int, receive_buffer: int | None = None) -> None:
        self._socket = socket.socket()
        if receive_buffer is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._socket.settimeout(30)
        self._socket.connect(("127.0.0.1", port))
        self._socket.sendall(upgrade())
        while b"\r\n\r\n" not in self._socket.recv(4096):
            pass

    def subscribe(self) -> None:
        """Subscribe, and read nothing."""
        self._socket.sendall(SUBSCRIBE)

    def snapshot_ms(self) -> float:
        """How long the present state takes from asking for it."""
        started = time.perf_counter()
        self._socket.sendall(masked(b'{"action":"subscribe","feed":"quote:FAN","envelope":true}'))
        received = b""
        while b'"data":{"symbol"' not in received:
            received += self._socket.recv(65536)
        return (time.perf_counter() - started) * 1000

    def close(self) -> None:
        """Go."""
        self._socket.close()
