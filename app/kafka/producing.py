"""An idempotent producer that repeats a batch until Kafka has it or refuses it: never given up with its fate unknown.

aiokafka gives a batch up in two cases in which an earlier attempt may have been appended already: it waited for
`request_timeout_ms` while its partition has no leader (seen after brokers were killed and paused: 200 events stood
twice, since whoever sends them again does so under another producer id), and the broker answers `UnknownError`. Its
sequence numbers make repeating safe, however long it takes.

Private points of aiokafka's that this needs, since there are no public ones: `AIOKafkaProducer._message_accumulator`,
`MessageAccumulator._batch_ttl`, `AIOKafkaProducer._sender`, `Sender._send_produce_req`, `._in_flight`,
`._muted_partitions`, `SendProduceReqHandler._can_retry`. `tests/contracts/test_producing_internals.py` fails when a
release changes one.
"""

import asyncio
import math
from typing import Any, Final

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, UnknownError
from aiokafka.producer.sender import SendProduceReqHandler

log = structlog.get_logger(__name__)

#: How long the end of a producer waits for a broker that does not answer.
STOP_TIMEOUT_S: Final = 10.0


class _Repeating(SendProduceReqHandler):  # type: ignore[misc]
    """Sends a request's batches; what may have been appended is sent again under the same sequence numbers."""

    def _can_retry(self, error: Any, batch: Any) -> bool:
        return bool(error.retriable) or type(error) is UnknownError


def repeat_until_answered(producer: AIOKafkaProducer) -> None:
    """Make an idempotent producer never give a batch up that may have been appended; before it is started."""
    sender = producer._sender

    async def send(node_id: int, batches: Any) -> None:
        await _Repeating(sender, batches).do(node_id)
        sender._in_flight.remove(node_id)
        for place in batches:
            sender._muted_partitions.remove(place)

    producer._message_accumulator._batch_ttl = math.inf
    sender._send_produce_req = send


async def stop_producer(producer: AIOKafkaProducer) -> None:
    """End a producer; what it still has under way is given up after `STOP_TIMEOUT_S`.

    aiokafka's own `stop` waits for it for ever while the broker is away, and one that is left waiting would send its
    batches when the broker is back, beside whoever has sent them again by then.
    """
    try:
        async with asyncio.timeout(STOP_TIMEOUT_S):
            await producer.stop()
    except (TimeoutError, KafkaError) as error:
        log.error("kafka_producer_not_stopped", error=repr(error))
        task = producer._sender.sender_task
        if task is not None and not task.done():
            task.cancel()
        await producer.client.close()
