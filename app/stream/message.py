"""One Faust message for many Kafka records."""

from typing import Any

from faust.types import TP, ConsumerMessage

from app.stream.batches import RecordBatch


class BatchMessage(ConsumerMessage):
    """The records of one poll of one partition.

    Its offset is the last one it covers, so that whatever in Faust compares offsets (recovery's
    highwaters, the read position) sees the whole stretch as consumed. `stretch` is its entry in
    the consumer's ledger.
    """

    __slots__ = ("batch", "stretch")

    def __init__(self, tp: TP, batch: RecordBatch, generation_id: int) -> None:
        timestamp_s = batch.records[-1].timestamp / 1000 if batch.records else 0.0
        super().__init__(
            tp.topic, tp.partition, batch.next_offset - 1, timestamp_s, 0, (), None, b"", None, 0, 0, tp,
            generation_id=generation_id,
        )  # fmt: skip
        self.batch = batch
        self.stretch: Any = None
