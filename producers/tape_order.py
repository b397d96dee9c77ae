"""A file's events in event-time order, however large the file is.

What fits is sorted in memory; a larger file is sorted run by run into temporary files, which are
then merged. Either way events of equal times keep the file's order.
"""

import gzip
import heapq
import tempfile
import zlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec
import zstandard

from producers.routing import Routed
from producers.tape_file import TapeEvent, open_lines, read_line

#: Events that are sorted in memory: about 600 bytes each, 300 MB together.
RUN_EVENTS: Final = 500_000

#: Events that are read back at once from a run.
BLOCK_EVENTS: Final = 2_000

_Row = tuple[int, str, bytes | None, bytes, str, int | None]
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[_Row]).decode
_LENGTH_BYTES: Final = 4


class Tape:
    """The events of a file in event-time order; a context manager that owns its temporary files.

    Entering it reads the whole file. Raises `OSError` when that cannot be read to its end.
    """

    def __init__(self, path: Path, run_events: int = RUN_EVENTS) -> None:
        self._path, self._run_events = path, run_events
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._spilled: list[Path] = []
        self._last: list[TapeEvent] = []
        #: Events of the file, dead letters for what could not be read among them.
        self.count = 0
        #: Time of the last event (epoch ms); 0 where none tells its time.
        self.last_ms = 0

    def __enter__(self) -> Self:
        try:
            self._read()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Remove the temporary files."""
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _read(self) -> None:
        number = 0
        try:
            with open_lines(self._path) as lines:
                for number, line in enumerate(lines, 1):
                    event = read_line(number, line, self._path.name)
                    if event is None:
                        continue
                    if len(self._last) == self._run_events:
                        self._spill()
                    self._last.append(event)
                    self.count += 1
                    self.last_ms = max(self.last_ms, event.event_ms)
        except (EOFError, zlib.error, gzip.BadGzipFile, zstandard.ZstdError) as error:
            raise OSError(f"{self._path} is damaged after line {number}: {error}; nothing of it was played") from error
        self._last.sort(key=_event_ms)

    def _spill(self) -> None:
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="tapereader-replay-")
        path = Path(self._folder.name) / f"run-{len(self._spilled)}.zst"
        self._last.sort(key=_event_ms)
        with zstandard.open(path, "wb") as file:
            events = iter(self._last)
            while block := list(islice(events, BLOCK_EVENTS)):
                data = _encode([(event_ms, *routed, received_ns) for event_ms, routed, received_ns in block])
                file.write(len(data).to_bytes(_LENGTH_BYTES, "big") + data)
        self._spilled.append(path)
        self._last = []

    def __iter__(self) -> Iterator[TapeEvent]:
        # A merge keeps the order of its inputs where times are equal, and runs are in the file's order.
        return heapq.merge(*map(_run, self._spilled), self._last, key=_event_ms)


def _event_ms(event: TapeEvent) -> int:
    return event.event_ms


def _run(path: Path) -> Iterator[TapeEvent]:
    with zstandard.open(path, "rb") as file:
        while head := file.read(_LENGTH_BYTES):
            for event_ms, topic, key, value, event_type, received_ns in _decode(file.read(int.from_bytes(head, "big"))):
                yield TapeEvent(event_ms, Routed(topic, key, value, event_type), received_ns)
