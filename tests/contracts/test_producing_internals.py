"""The private points of aiokafka's producer that `app.stream.producing` names are as it takes them."""

import inspect
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.producer.message_accumulator import MessageAccumulator, MessageBatch
from aiokafka.producer.sender import Sender, SendProduceReqHandler

from app.stream.producing import repeat_until_answered


@pytest.mark.parametrize(
    ("owner", "name", "parameters"),
    [
        (Sender, "_send_produce_req", ["self", "node_id", "batches"]),
        (SendProduceReqHandler, "__init__", ["self", "sender", "batches"]),
        (SendProduceReqHandler, "do", ["self", "node_id"]),
        (SendProduceReqHandler, "_can_retry", ["self", "error", "batch"]),
        (MessageBatch, "expired", ["self"]),
        (MessageAccumulator, "_append_batch", ["self", "builder", "tp"]),
        (MessageAccumulator, "add_batch", ["self", "builder", "tp", "timeout"]),
        (MessageAccumulator, "fail_all", ["self", "exception"]),
        (Sender, "_fail_all", ["self", "task"]),
    ],
)
def test_a_private_method_is_there_with_its_parameters(owner: Any, name: str, parameters: list[str]) -> None:
    assert list(inspect.signature(getattr(owner, name)).parameters) == parameters


def test_the_sender_still_does_what_ours_repeats() -> None:
    """Our sending of a request is aiokafka's, with another handler."""
    source = inspect.getsource(Sender._send_produce_req)
    for line in (
        "handler = SendProduceReqHandler(self, batches)",
        "await handler.do(node_id)",
        "self._in_flight.remove(node_id)",
        "self._muted_partitions.remove(tp)",
    ):
        assert line in source


def test_the_producers_own_time_out_only_bounds_waiting_in_line() -> None:
    """The client and the sender are given theirs when the producer is made."""
    for method, uses in ((AIOKafkaProducer.send, 1), (AIOKafkaProducer.send_batch, 1), (AIOKafkaProducer, 4)):
        assert inspect.getsource(method).count("self._request_timeout_ms") == uses


async def test_a_batch_of_a_repeating_producer_does_not_expire() -> None:
    producer = AIOKafkaProducer(bootstrap_servers="127.0.0.1:1", enable_idempotence=True)
    repeat_until_answered(producer)
    accumulator = producer._message_accumulator
    batch = accumulator._append_batch(producer.create_batch(), None)
    batch._ctime = -1e9
    assert not batch.expired()
    assert producer._sender._in_flight == set()
    assert producer._sender._muted_partitions == set()
    await producer.client.close()


def test_a_consumer_has_the_client_that_is_closed_after_it() -> None:
    assert "self._client.close()" in inspect.getsource(AIOKafkaConsumer.stop)
