"""Up to which time the events of a batch may be, by when Kafka received them."""

import math

from app.main import settings
from app.market.bounds import AHEAD_MS
from app.settings import Source
from app.stream import RecordBatch

#: The simulated market has a clock of its own, which may be hours ahead of this machine's.
BOUNDED = settings.source is not Source.SIMULATOR


def limits_ms(batch: RecordBatch) -> list[float]:
    """The latest time (epoch ms) that each record's event may have; infinite where nothing is known of it.

    A record's time in Kafka is when the producer wrote it, milliseconds after it had received the event. A replay
    writes its events anew, and so is bounded by the present.
    """
    if not BOUNDED:
        return [math.inf] * len(batch)
    records = batch.records
    if records and records[0].timestamp == records[-1].timestamp > 0:
        # Most batches were written in one millisecond, or in a few that are one to Kafka.
        return [records[0].timestamp + AHEAD_MS] * len(records)
    return [record.timestamp + AHEAD_MS if record.timestamp > 0 else math.inf for record in records]
