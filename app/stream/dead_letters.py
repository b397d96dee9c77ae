"""What could not be processed: the bytes, where they stood, and why."""

import asyncio
import base64
from collections import Counter
from typing import Any

import msgspec
import structlog

from app.stream import internals
from app.stream.batches import RecordBatch, Undecodable, where
from app.stream.surroundings import surroundings_of

log = structlog.get_logger(__name__)


class DeadLetter(msgspec.Struct, frozen=True, omit_defaults=True):
    """A record of the dead-letter topic. `value` is text where it is UTF-8, else base64.

    `tables` are those that refused the record; others may have counted it. `value_bytes` is the value's size where
    only its beginning is in the letter.
    """

    topic: str
    partition: int
    offset: int
    reason: str
    value: str | None = None
    value_base64: str | None = None
    next_offset: int | None = None
    tables: list[str] = []
    value_bytes: int | None = None


#: A letter holds this much of a value: what a person looks at, and no letter is refused for its size.
MOST_VALUE_BYTES = 64 * 1024

#: A letter holds this much of a reason: decoders put the whole value into theirs.
MOST_REASON_CHARACTERS = 2000

#: How long a letter waits for other tables that may refuse the same record. They fold the same batch at about the
#: same time: a few ms, more only behind a long fold.
OTHERS_WITHIN_S = 0.25

#: How often it is looked whether they have passed the record.
_LOOK_EVERY_S = 0.01

#: The key of the record that failed, and what is said of it.
Letter = tuple[bytes | None, DeadLetter]


def from_record(batch: RecordBatch, index: int, error: BaseException | str) -> Letter:
    """Key and letter for one record that could not be folded."""
    record = batch.records[index]
    reason = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
    value, size = record.value, None
    if value is not None and len(value) > MOST_VALUE_BYTES:
        value, size = value[:MOST_VALUE_BYTES], len(value)
    text, encoded = None, None
    if value is not None:
        try:
            text = value.decode()
        except UnicodeDecodeError:
            encoded = base64.b64encode(value).decode()
    return record.key, DeadLetter(
        batch.topic, batch.partition, record.offset, reason[:MOST_REASON_CHARACTERS], text, encoded, value_bytes=size
    )


def from_undecodable(batch: RecordBatch, found: Undecodable) -> Letter:
    """Letter for a stretch that no codec could read: its offsets are all there is."""
    return None, DeadLetter(
        batch.topic, batch.partition, found.first_offset, found.reason, next_offset=found.next_offset
    )


def error_type(letter: DeadLetter) -> str:
    """The type of error in a letter's reason: an exception's name, or `Undecodable` for a stretch of no codec."""
    if letter.next_offset is not None:
        return "Undecodable"
    name, parted, _ = letter.reason.partition(": ")
    return name if parted and name.isidentifier() else "Other"


class _Open:
    """A letter that other tables may still join."""

    def __init__(self, key: bytes | None, letter: DeadLetter) -> None:
        self.key, self.letter = key, letter
        self.tables: list[str] = []
        self.written: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class DeadLetterWriter:
    """Writes dead letters; `send` returns once Kafka has them. A record that several tables refuse is one letter."""

    def __init__(self, app: Any, topic: str) -> None:
        self._app = app
        self._topic = topic
        self._encode = msgspec.json.Encoder().encode
        self._open: dict[tuple[str, int, int], _Open] = {}
        #: Letters written since the start, by the records' topic and the type of error.
        self.written: Counter[tuple[str, str]] = Counter()

    async def send(self, letters: list[Letter], table: str) -> None:
        """Write the letters of a table and wait until Kafka has acknowledged them."""
        ours, found = [], []
        for key, letter in letters:
            place = letter.topic, letter.partition, letter.offset
            if place not in self._open:
                self._open[place] = _Open(key, letter)
                ours.append(place)
            self._open[place].tables.append(table)
            found.append(self._open[place])
        if ours:
            try:
                await self._others(ours)
            finally:
                closed = [self._open.pop(place) for place in ours]
            await self._write(closed)
        await asyncio.gather(*(each.written for each in found))

    async def _others(self, places: list[tuple[str, int, int]]) -> None:
        """Wait for the other tables of the letters' source, which may refuse the same records."""
        topic, partition, _ = places[0]
        newest = max(offset for _, _, offset in places)
        fed = [table for table in self._app.tables.values() if topic in getattr(table, "sources", ())]
        if len(fed) < 2:
            return
        clock = surroundings_of(self._app).clock
        until_s = clock.monotonic_s() + OTHERS_WITHIN_S
        while clock.monotonic_s() < until_s:
            passed = all((table.covered(topic, partition) or newest + 1) > newest for table in fed)
            # One look more: who has passed a record hands its letter over in its next step.
            await asyncio.sleep(_LOOK_EVERY_S)
            if passed:
                return

    async def _write(self, closed: list[_Open]) -> None:
        producer = internals.kafka_producer(self._app)
        try:
            sent = []
            for each in closed:
                letter = msgspec.structs.replace(each.letter, tables=sorted(set(each.tables)))
                at = f"{letter.topic}[{letter.partition}]@{letter.offset}"
                log.warning("dead_letter", at=at, tables=letter.tables, reason=letter.reason)
                sent.append(await producer.send(self._topic, key=each.key, value=self._encode(letter)))
            for future in sent:
                await future
        except BaseException as error:
            for each in closed:
                each.written.set_exception(error)
                each.written.exception()
            raise
        for each in closed:
            each.written.set_result(None)
        self.written.update((each.letter.topic, error_type(each.letter)) for each in closed)
        surroundings_of(self._app).observer.sent(self._topic, len(closed))


__all__ = ["DeadLetter", "DeadLetterWriter", "from_record", "from_undecodable", "where"]
