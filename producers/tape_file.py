"""Files of events: JSON lines, plain, gzip or zstandard.

A line is either a bare event as Massive sent it, or a recorded one with its topic and the time at
which it was received: {"topic": …, "key": …, "received_ns": …, "value": {…}}.
"""

import base64
import gzip
import io
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, NamedTuple

import msgspec
import zstandard

from app import clock
from app.errors import UNREADABLE
from app.kafka.topics import DEAD_LETTERS, REFERENCE
from app.market.events import Reference, epoch_ms
from producers.routing import DeadLetter, Routed, Status, dead_letter, route_event

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer as Buffer


class Recorded(msgspec.Struct, omit_defaults=True):
    """A line of a recorded file. `value` is the record's JSON; base64 where it does not fit a line."""

    topic: str | None = None
    key: str | None = None
    received_ns: int | None = None
    value: msgspec.Raw = msgspec.Raw(b"")
    value_base64: str | None = None


class _Times(msgspec.Struct):
    ev: str | None = None
    e: float | int | None = None
    s: float | int | str | None = None
    t: float | int | None = None


class TapeEvent(NamedTuple):
    """An event of a file: when it happened (ms), where it goes, when it was received (ns)."""

    event_ms: int
    routed: Routed
    received_ns: int | None


#: Compressed bytes that are read at once.
READ_BYTES: Final = 128 * 1024

_recorded = msgspec.json.Decoder(Recorded)
_times = msgspec.json.Decoder(_Times)


def open_lines(path: Path) -> IO[bytes]:
    """The file's bytes, decompressed by its ending (.gz, .zst)."""
    if path.suffix == ".gz":
        return io.BufferedReader(gzip.open(path, "rb"))
    if path.suffix == ".zst":
        return io.BufferedReader(_ZstandardFile(path))
    return path.open("rb")


class _ZstandardFile(io.RawIOBase):
    """The content of a zstandard file; the library's own reader ends silently where a file was cut off."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self._decompressor = zstandard.ZstdDecompressor().decompressobj(read_across_frames=False)
        self._waiting, self._source, self._in_frame = memoryview(b""), b"", False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "Buffer") -> int:
        view = memoryview(buffer).cast("B")
        while not self._waiting:
            self._source = self._source or self._file.read(READ_BYTES)
            if not self._source:
                if self._in_frame:
                    raise EOFError("the file ends within a zstandard frame")
                return 0
            self._waiting, self._in_frame = memoryview(self._decompressor.decompress(self._source)), True
            self._source = b""
            if self._decompressor.eof:
                self._source, self._in_frame = self._decompressor.unused_data, False
                self._decompressor = zstandard.ZstdDecompressor().decompressobj(read_across_frames=False)
        count = min(len(view), len(self._waiting))
        view[:count], self._waiting = self._waiting[:count], self._waiting[count:]
        return count

    def close(self) -> None:
        self._file.close()
        super().close()


def event_ms_of(value: bytes) -> int:
    """When an event happened: an aggregate's end, else its time, 0 where it has none."""
    try:
        times = _times.decode(value)
    except UNREADABLE:
        return 0
    stamp = times.e if times.ev in ("A", "AM") else times.t
    return epoch_ms(int(stamp)) if stamp else 0


def read_line(number: int, line: bytes, name: str) -> TapeEvent | None:
    """The event of one line; what cannot be read becomes a dead letter; None for what is no event."""
    line = line.strip()
    if not line:
        return None
    try:
        found = _recorded.decode(line)
        value = base64.b64decode(found.value_base64) if found.value_base64 else bytes(found.value) or line
        if found.topic == REFERENCE.declared:
            return TapeEvent(0, Routed(REFERENCE.name, _symbol(value), value, "reference"), found.received_ns)
        routed = route_event(value)
    except (ValueError, RecursionError) as error:
        return TapeEvent(0, dead_letter(line, f"line {number}: {error}", name, number), None)
    if isinstance(routed, Status):
        return None
    if routed.topic == DEAD_LETTERS.name:
        reason = msgspec.json.decode(routed.value, type=DeadLetter).reason
        return TapeEvent(0, dead_letter(line, f"line {number}: {reason}", name, number), None)
    return TapeEvent(event_ms_of(value), routed, found.received_ns)


def _symbol(value: bytes) -> bytes:
    return msgspec.json.decode(value, type=Reference).symbol.encode()


def reference_events(path: Path, next_day: "NextDay") -> Iterator[Routed]:
    """Reference records from a file {SYMBOL: {"day": "20131008", "o": …, "c": …, "v": …}}.

    The day in the file is the previous one; the record holds for the trading day after it.
    """
    for symbol, bar in msgspec.json.decode(path.read_bytes()).items():
        day = str(bar.pop("day")).replace("-", "")
        iso = f"{day[:4]}-{day[4:6]}-{day[6:8]}"
        extra = {name: bar.pop(name) for name in ("avg_volume", "free_float") if name in bar}
        record = {"symbol": symbol, "day": next_day(iso), "previous_day": bar, **extra}
        yield Routed(REFERENCE.name, symbol.encode(), msgspec.json.encode(record), "reference")


class NextDay:
    """The trading day after a given one, by the exchange calendar."""

    def __init__(self) -> None:

        self._calendar = clock.trading_calendar()

    def __call__(self, day: str) -> str:
        return self._calendar.next_day(day)
