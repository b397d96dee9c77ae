"""A letter: the bytes of what could not be processed, where they stood, and why."""

import base64

import msgspec

from app.stream.batches import RecordBatch, Undecodable


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
