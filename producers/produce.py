"""`tapereader produce`: the producer's process, with its control and its signals."""

import asyncio
import signal

import structlog

from app.kafka.access import KafkaAccess
from app.kafka.admin import await_topics
from app.kafka.declared import ensure_declared
from app.kafka.topics import DEAD_LETTERS, FEED, RAW_TOPICS
from app.observability import tracing
from app.settings import Settings
from producers.address import feed_address
from producers.control import serve_control
from producers.live import LiveProducer
from producers.publisher import Publisher

log = structlog.get_logger(__name__)


async def run(settings: Settings) -> None:
    """Produce until SIGTERM or SIGINT. Raises `LoginRefused`, `SettingsError`, `StartupError`, `TopicMismatch`."""
    feed_address(settings)
    tracing.configure(settings, "producer")
    await await_topics(settings, (*RAW_TOPICS, DEAD_LETTERS, FEED))
    async with Publisher(KafkaAccess.of(settings), settings.kafka_acks) as publisher:
        await ensure_declared(settings, (*RAW_TOPICS, DEAD_LETTERS, FEED))
        producer = LiveProducer(settings, publisher)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, producer.stopping.set)
        try:
            async with serve_control(producer, settings.control_port, settings.http_host):
                await producer.run()
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)
            tracing.close()
            log.info("producer_stopped", sent=dict(publisher.sent), dropped=dict(producer.buffer.dropped))
