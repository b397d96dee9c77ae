"""Clients of aiokafka, made in one place; who makes one starts and closes it.

    producer = new_producer(access, "restore", enable_idempotence=True)

Each takes a connection that uvloop has closed for a lost one: what is asked with it then fails with one of Kafka's
errors, which all know what to do with. `role` goes into the client's id at the broker.
"""

from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient

from app.kafka.access import Brokers, KafkaAccess
from app.stream.lost_connections import take_for_lost


def new_consumer(brokers: Brokers, role: str, *topics: str, **options: Any) -> AIOKafkaConsumer:
    """A consumer of no group that commits nothing, of topics where some are named; not started."""
    consumer = AIOKafkaConsumer(*topics, **KafkaAccess.of(brokers).options(role), enable_auto_commit=False, **options)
    take_for_lost(consumer._client)
    return consumer


def new_producer(brokers: Brokers, role: str, **options: Any) -> AIOKafkaProducer:
    """A producer; not started."""
    producer = AIOKafkaProducer(**KafkaAccess.of(brokers).options(role), **options)
    take_for_lost(producer.client)
    return producer


def new_admin(brokers: Brokers, role: str, **options: Any) -> AIOKafkaAdminClient:
    """An admin client; not started."""
    admin = AIOKafkaAdminClient(**KafkaAccess.of(brokers).options(role), **options)
    take_for_lost(admin._client)
    return admin
