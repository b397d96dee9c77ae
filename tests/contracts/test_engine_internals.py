"""The private points of Faust and aiokafka that `app.stream.internals` names are as it takes them.

A release that changes one fails here, by name, and not in a worker.
"""

import inspect
from typing import Any

import pytest
from aiokafka.client import AIOKafkaClient
from aiokafka.consumer.consumer import AIOKafkaConsumer
from aiokafka.consumer.fetcher import Fetcher, FetchResult, PartitionRecords
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.consumer.subscription_state import TopicPartitionState
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.producer.producer import AIOKafkaProducer
from aiokafka.producer.transaction_manager import TransactionManager
from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery
from faust.transport.conductor import Conductor
from faust.transport.consumer import Consumer
from faust.transport.drivers import aiokafka as driver


@pytest.mark.parametrize(
    ("owner", "name", "parameters"),
    [
        (
            driver.AIOKafkaConsumerThread,
            "_fetch_records",
            ["self", "consumer", "active_partitions", "timeout", "max_records"],
        ),
        (driver.AIOKafkaConsumerThread, "_ensure_consumer", ["self"]),
        (Consumer, "_new_offset", ["self", "tp"]),
        (Consumer, "_add_gap", ["self", "tp", "offset_from", "offset_to"]),
        (Consumer, "_filter_tps_with_pending_acks", ["self", "topics"]),
        (Consumer, "_wait_next_records", ["self", "timeout"]),
        (Consumer, "perform_seek", ["self"]),
        (driver.Producer, "_settings_extra", ["self"]),
        (driver.Producer, "_ensure_producer", ["self"]),
        (driver.Producer, "_new_producer", ["self", "transactional_id"]),
        (TableManager, "_update_channels", ["self"]),
        (Recovery, "_wait", ["self", "coro", "timeout"]),
        (AIOKafkaClient, "send", ["self", "node_id", "request", "group"]),
        (Fetcher, "_create_fetch_waiter", ["self"]),
        (Fetcher, "_notify", ["self", "future"]),
        (FetchResult, "check_assignment", ["self", "tp"]),
        (FetchResult, "_update_position", ["self"]),
        (FetchResult, "getall", ["self", "max_records"]),
        (BatchBuilder, "append", ["self", "timestamp", "key", "value", "headers"]),
    ],
    ids=lambda value: value if isinstance(value, str) else getattr(value, "__name__", None),
)  # fmt: skip
def test_a_private_function_takes_what_we_give_it(owner: Any, name: str, parameters: list[str]) -> None:
    """Same parameters, in order."""
    assert list(inspect.signature(getattr(owner, name)).parameters) == parameters


@pytest.mark.parametrize(
    ("owner", "names"),
    [
        (
            AIOKafkaConsumer,
            ["_fetcher", "_fetch_max_wait_ms", "_max_poll_records", "_closed", "_client", "_coordinator"],
        ),
        (GroupCoordinator, ["coordinator_id"]),
        (Fetcher, ["_records", "_subscriptions", "_wait_consume_future", "_check_crcs", "_closed"]),
        (PartitionRecords, ["_records", "next_fetch_offset"]),
        (FetchResult, ["_topic_partition", "_partition_records", "_assignment"]),
        (TopicPartitionState, ["highwater"]),
        (Recovery, ["active_offsets", "active_tps", "standby_tps"]),
        (TableManager, ["_recovery"]),
        (AIOKafkaProducer, ["_txn_manager"]),
        (TransactionManager, ["transactional_id"]),
        (driver.AIOKafkaConsumerThread, ["_consumer"]),
        (driver.Producer, ["_producer"]),
        (Conductor, ["_topics"]),
        (Consumer, ["_unacked_messages", "_n_acked", "_committed_offset", "_buffered_partitions"]),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_private_attribute_is_still_set_by_its_class(owner: Any, names: list[str]) -> None:
    """Each name is assigned in the class's own source."""
    source = inspect.getsource(owner)
    missing = [name for name in names if f"self.{name}" not in source]

    assert not missing
