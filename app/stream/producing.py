"""An idempotent producer that repeats a batch until Kafka has it or refuses it: never given up with its fate unknown.

aiokafka gives a batch up in three cases in which it, or an earlier attempt, may have been appended or still be: it
waited for `request_timeout_ms` while its partition has no leader (seen after brokers were killed and paused: 200 events
stood twice, since whoever sends them again does so under another producer id), the broker answers `UnknownError`, and
it waited for `request_timeout_ms` behind another batch of its partition. Its sequence numbers make repeating safe,
however long it takes.

Private points of aiokafka's that this needs, since there are no public ones: `AIOKafkaProducer._message_accumulator`,
`._request_timeout_ms`, `MessageAccumulator._batch_ttl`, `.fail_all`, `AIOKafkaProducer._sender`,
`Sender._send_produce_req`, `._in_flight`, `._muted_partitions`, `._fail_all`, `SendProduceReqHandler._can_retry`.
`tests/contracts/test_producing_internals.py` fails when a release changes one.
"""

import asyncio
import math
from collections.abc import Callable
from typing import Any, Final

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, ProducerClosed, UnknownError
from aiokafka.producer.sender import SendProduceReqHandler

log = structlog.get_logger(__name__)

#: How long the end of a producer waits for a broker that does not answer.
STOP_TIMEOUT_S: Final = 10.0

#: A batch waits this long behind another one: without an end. (aiokafka takes no infinity here.)
_WAIT_MS: Final = 365 * 24 * 3600 * 1000

#: Is told why a batch has to be sent again.
Told = Callable[[str], None]


class _Repeating(SendProduceReqHandler):
    """Sends a request's batches; what may have been appended is sent again under the same sequence numbers."""

    def __init__(self, sender: Any, batches: Any, told: Told | None) -> None:
        super().__init__(sender, batches)
        self._told = told

    def _can_retry(self, error: Any, batch: Any) -> bool:
        again = bool(error.retriable) or type(error) is UnknownError
        if again and self._told is not None:
            self._told(f"{batch.tp.topic}[{batch.tp.partition}] cannot be written: {type(error).__name__}")
        return again


def repeat_until_answered(producer: AIOKafkaProducer, told: Told | None = None) -> None:
    """Make an idempotent producer never give a batch up that may have been appended; before it is started.

    `told` is called each time that a batch has to be sent again.
    """
    sender = producer._sender

    async def send(node_id: int, batches: Any) -> None:
        await _Repeating(sender, batches, told).do(node_id)
        sender._in_flight.remove(node_id)
        for place in batches:
            sender._muted_partitions.remove(place)

    # The client and the sender have the time-out of a request for themselves: this one bounds waiting in line.
    producer._request_timeout_ms = _WAIT_MS
    producer._message_accumulator._batch_ttl = math.inf
    sender._send_produce_req = send


async def stop_producer(producer: AIOKafkaProducer, timeout_s: float = STOP_TIMEOUT_S) -> None:
    """End a producer; what it still has under way is given up after `timeout_s`.

    aiokafka's own `stop` waits for it for ever while the broker is away, and one that is left waiting would send its
    batches when the broker is back, beside whoever has sent them again by then.
    """
    try:
        async with asyncio.timeout(timeout_s):
            await producer.stop()
    except (TimeoutError, KafkaError) as error:
        log.error("kafka_producer_not_stopped", error=repr(error))
        task = producer._sender.sender_task
        if task is not None and not task.done():
            # aiokafka's own callback takes every end of it for that of a transaction.
            task.remove_done_callback(producer._sender._fail_all)
            task.add_done_callback(_seen)
            task.cancel()
        producer._message_accumulator.fail_all(ProducerClosed())
        await producer.client.close()


def _seen(task: asyncio.Task[None]) -> None:
    if not task.cancelled():
        task.exception()
