"""A consumer for the time of a context, closed whatever state Kafka is in."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from app.kafka.access import Brokers
from app.kafka.clients import new_consumer

log = structlog.get_logger(__name__)

#: How long the end of a consumer waits for a broker that does not answer.
CLOSE_TIMEOUT_S = 5.0


@asynccontextmanager
async def consuming(brokers: Brokers, role: str, *topics: str, **options: Any) -> AsyncIterator[AIOKafkaConsumer]:
    """A started consumer of no group that commits nothing, of topics where some are named.

    Raises `KafkaError`: no broker answers.
    """
    consumer = new_consumer(brokers, role, *topics, **options)
    try:
        await consumer.start()
        yield consumer
    finally:
        await close_consumer(consumer)


async def close_consumer(consumer: AIOKafkaConsumer) -> None:
    """Close a consumer; only a cancellation of the caller itself comes out of it.

    With fetches under way to a broker that is away, aiokafka's own `stop` raises the `CancelledError` of a task that
    it has cancelled itself, which ends whoever awaits it, and leaves the connections open. So does the end of its
    connections, after a stop that was given up.
    """
    try:
        await _closed(consumer.stop())
    finally:
        await _closed(consumer._client.close())


async def _closed(closing: Awaitable[None]) -> None:
    try:
        async with asyncio.timeout(CLOSE_TIMEOUT_S):
            await closing
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
    except (KafkaError, OSError, TimeoutError) as error:
        log.info("consumer_not_closed_in_order", error=repr(error))
