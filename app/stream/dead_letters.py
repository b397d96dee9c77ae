"""What could not be processed: the bytes, where they stood, and why."""

import base64
from typing import Any

import msgspec
import structlog

from app.stream import internals
from app.stream.batches import RecordBatch, Undecodable, where
from app.stream.surroundings import surroundings_of

log = structlog.get_logger(__name__)


class DeadLetter(msgspec.Struct, frozen=True, omit_defaults=True):
    """A record of the dead-letter topic. `value` is text where it is UTF-8, else base64."""

    topic: str
    partition: int
    offset: int
    reason: str
    value: str | None = None
    value_base64: str | None = None
    next_offset: int | None = None


#: The key of the record that failed, and what is said of it.
Letter = tuple[bytes | None, DeadLetter]


def from_record(batch: RecordBatch, index: int, error: BaseException | str) -> Letter:
    """Key and letter for one record that could not be folded."""
    record = batch.records[index]
    reason = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
    text, encoded = None, None
    if record.value is not None:
        try:
            text = record.value.decode()
        except UnicodeDecodeError:
            encoded = base64.b64encode(record.value).decode()
    return record.key, DeadLetter(batch.topic, batch.partition, record.offset, reason, text, encoded)


def from_undecodable(batch: RecordBatch, found: Undecodable) -> Letter:
    """Letter for a stretch that no codec could read: its offsets are all there is."""
    return None, DeadLetter(
        batch.topic, batch.partition, found.first_offset, found.reason, next_offset=found.next_offset
    )


class DeadLetterWriter:
    """Writes dead letters; `send` returns once Kafka has them."""

    def __init__(self, app: Any, topic: str) -> None:
        self._app = app
        self._topic = topic
        self._encode = msgspec.json.Encoder().encode
        #: Letters written since the start.
        self.written = 0

    async def send(self, letters: list[Letter]) -> None:
        """Write the letters and wait until Kafka has acknowledged them."""
        producer = internals.kafka_producer(self._app)
        sent = []
        for key, letter in letters:
            log.warning("dead_letter", at=f"{letter.topic}[{letter.partition}]@{letter.offset}", reason=letter.reason)
            sent.append(await producer.send(self._topic, key=key, value=self._encode(letter)))
        for future in sent:
            await future
        self.written += len(letters)
        surroundings_of(self._app).observer.sent(self._topic, len(letters))


__all__ = ["DeadLetter", "DeadLetterWriter", "from_record", "from_undecodable", "where"]
