"""The last trades of each symbol, read from the workers' changelog while someone asks for them.

The changelog is the busiest topic of all, so it is followed on demand: the first request reads it from
its start, later ones find it in memory, and some minutes after the last one it is let go. Memory has a
bound: at it, the oldest chunks of the symbols with the longest tapes are dropped.
"""

import asyncio
from collections.abc import Callable, Iterable

import structlog

from app.gateway.protocol.problems import Problem
from app.gateway.tables.reader import TableReader
from app.kafka.access import Brokers
from app.kafka.topics import TRADE_TAPE
from app.market.trade_conditions import ConditionTable
from app.market.trade_tape import read_tape
from app.market.trade_windows import CHUNK_SLOTS, CHUNK_TRADES, TapeTrade

log = structlog.get_logger(__name__)

#: A request waits this long for the tape to be read.
WAIT_S = 15.0
#: The tape is let go when nobody has asked for this long.
IDLE_S = 300.0
#: What a chunk takes beside its bytes: its place in the dictionaries and the objects.
CHUNK_OVERHEAD_BYTES = 200


class TapeView:
    """Chunks by symbol and slot, as bytes; never more than about `budget_bytes`."""

    def __init__(self, budget_bytes: int) -> None:
        self.budget_bytes = budget_bytes
        self.held_bytes = 0
        self.records_read = 0
        #: Chunks that a symbol may have; less than all where memory did not do.
        self.most_chunks = CHUNK_SLOTS
        self._symbols: dict[str, dict[int, tuple[int, bytes]]] = {}

    def apply(self, topic: str, pairs: Iterable[tuple[bytes | None, bytes | None]]) -> list[object]:
        """Take in records of the changelog; nothing follows its changes."""
        for key, value in pairs:
            self.records_read += 1
            symbol, _, slot = (key or b"").decode("utf-8", "replace").rpartition("/")
            if symbol and slot.isdecimal():
                self._put(symbol, int(slot), value)
        if self.held_bytes > self.budget_bytes:
            self._shorten()
        return []

    def trades(self, symbol: str, limit: int, conditions: ConditionTable | None = None) -> list[TapeTrade]:
        """The newest trades of a symbol, newest first; `conditions` names theirs.

        Raises `ValueError`: the changelog holds no chunks.
        """
        chunks = self._symbols.get(symbol, {})
        # The newest chunk may hold a single trade.
        newest = sorted(chunks.items(), key=lambda item: item[1][0])[-(limit // CHUNK_TRADES + 2) :]
        return read_tape(symbol, {slot: data for slot, (_, data) in newest}, limit, conditions)

    def whole(self, symbol: str) -> bool:
        """Whether no chunk of a symbol was dropped for want of memory."""
        return len(self._symbols.get(symbol, {})) < self.most_chunks or self.most_chunks == CHUNK_SLOTS

    def _put(self, symbol: str, slot: int, value: bytes | None) -> None:
        chunks = self._symbols.setdefault(symbol, {})
        before = chunks.pop(slot, None)
        if before is not None:
            self.held_bytes -= len(before[1]) + CHUNK_OVERHEAD_BYTES
        if value is not None:
            chunks[slot] = (_first_of(value), value)
            self.held_bytes += len(value) + CHUNK_OVERHEAD_BYTES
        self._cut(chunks)
        if not chunks:
            del self._symbols[symbol]

    def _cut(self, chunks: dict[int, tuple[int, bytes]]) -> None:
        while len(chunks) > self.most_chunks:
            oldest = min(chunks, key=lambda slot: chunks[slot][0])
            self.held_bytes -= len(chunks.pop(oldest)[1]) + CHUNK_OVERHEAD_BYTES

    def _shorten(self) -> None:
        while self.held_bytes > self.budget_bytes and self.most_chunks > 1:
            self.most_chunks -= max(1, self.most_chunks // 8)
            for chunks in self._symbols.values():
                self._cut(chunks)
        log.warning("tape_shortened", chunks=self.most_chunks, held_bytes=self.held_bytes)


def _first_of(chunk: bytes) -> int:
    """The number of a chunk's first trade. Chunks are arrays that begin with it."""
    number = chunk[1 : chunk.find(b",")]
    return int(number) if number.isdigit() else -1


class TapeFollower:
    """Follows the tape while there are requests."""

    def __init__(
        self, brokers: Brokers, budget_bytes: int, failed: Callable[[Exception], None], *, idle_s: float = IDLE_S
    ) -> None:
        self._failed = failed
        self._brokers, self._budget_bytes, self._idle_s = brokers, budget_bytes, idle_s
        self._lock = asyncio.Lock()
        self._reader: TableReader[object] | None = None
        self._view = TapeView(budget_bytes)
        self._idle: asyncio.TimerHandle | None = None
        self._stopping: asyncio.Task[None] | None = None

    @property
    def following(self) -> bool:
        """Whether the tape is in memory or being read."""
        return self._reader is not None

    async def view(self, wait_s: float = WAIT_S) -> TapeView:
        """The tape as it stands now. Raises `Problem` (503): it could not be read in time."""
        async with self._lock:
            if self._reader is None:
                self._view = TapeView(self._budget_bytes)
                self._reader = TableReader(self._brokers, self._view, [TRADE_TAPE.name], lambda _: None, self._failed)
                await self._reader.__aenter__()
            reader, view = self._reader, self._view
            self._rest()
        try:
            async with asyncio.timeout(wait_s):
                await reader.caught_up.wait()
        except TimeoutError:
            detail = f"the tape is not read yet: {'; '.join(reader.reasons()) or 'try again'}"
            raise Problem(503, "tape-unavailable", detail) from None
        return view

    async def close(self) -> None:
        """Let the tape go."""
        async with self._lock:
            if self._idle is not None:
                self._idle.cancel()
            reader, self._reader = self._reader, None
            if reader is not None:
                await reader.__aexit__(None, None, None)
            self._view = TapeView(self._budget_bytes)

    def _rest(self) -> None:
        """Count the time without requests afresh."""
        if self._idle is not None:
            self._idle.cancel()
        self._idle = asyncio.get_running_loop().call_later(self._idle_s, self._let_go)

    def _let_go(self) -> None:
        log.info("tape_let_go", held_bytes=self._view.held_bytes)
        self._stopping = asyncio.create_task(self.close(), name="tape-let-go")
        self._stopping.add_done_callback(self._let_gone)

    def _let_gone(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Exception):
            self._failed(error)
