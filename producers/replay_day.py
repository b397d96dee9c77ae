"""Whether a tape can still be played: tables that have seen a later day take its events for late ones."""

import msgspec
from aiokafka import TopicPartition

from app import clock
from app.errors import StartupError
from app.kafka.access import Brokers, KafkaAccess
from app.kafka.admin import admin_client
from app.kafka.consuming import consuming
from app.kafka.topics import LEADERBOARDS

#: How long the last boards are waited for (ms).
READ_MS = 5_000


class _Board(msgspec.Struct):
    day: str


async def board_day(brokers: Brokers) -> str | None:
    """The trading day of the newest boards; None where there are none yet.

    Raises aiokafka's `KafkaError` when Kafka does not answer.
    """
    access = KafkaAccess.of(brokers)
    async with admin_client(access) as admin, consuming(access, "replay") as consumer:
        described = await admin.describe_topics([LEADERBOARDS.name])
        parts = [TopicPartition(LEADERBOARDS.name, part["partition"]) for part in described[0]["partitions"]]
        consumer.assign(parts)
        ends = await consumer.end_offsets(parts) if parts else {}
        days = []
        for part in (part for part, end in ends.items() if end > 0):
            consumer.assign([part])
            consumer.seek(part, ends[part] - 1)
            for records in (await consumer.getmany(part, timeout_ms=READ_MS)).values():
                days += [msgspec.json.decode(record.value, type=_Board).day for record in records if record.value]
        return max(days, default=None)


async def check_day(brokers: Brokers, last_ms: int) -> None:
    """Raises `StartupError`: the boards are of a later day than a tape that ends at `last_ms` (epoch ms)."""
    newest = await board_day(brokers)
    try:
        day = clock.trading_calendar().day_of(last_ms)
    except ValueError:  # a time that no exchange was open at: what is wrong with it, the workers say
        return
    if newest is not None and day < newest:
        where = KafkaAccess.of(brokers).bootstrap_servers
        raise StartupError(
            f"the tape ends on {day} and the boards at {where} are of {newest}: its events would all be late ones. "
            "Play it into a platform of its own: tapereader up --source none --data-dir .tapereader-replay"
        )
