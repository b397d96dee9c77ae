"""When brokers count as away, and what is tried again."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    IllegalStateError,
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    NodeNotReadyError,
    ProducerFenced,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)
from aiokafka.protocol.group import JoinGroupRequest
from structlog.testing import capture_logs

from app.stream import contact as module
from app.stream.contact import FAILED_WITHIN_S, SILENT_AFTER_S, SILENT_UNTIL_S, Contact, Saying, passes
from tests.eventually import eventually


class Clock:
    """A clock that the test turns."""

    now_s = 100.0

    def wall_ns(self) -> int:
        return int(self.now_s * 1e9)

    def monotonic_s(self) -> float:
        return self.now_s


class Client:
    """A client whose answers the test gives."""

    def __init__(self) -> None:
        self.answers: asyncio.Queue[Any] = asyncio.Queue()

    async def send(self, node_id: int, request: object, *, group: int = 0) -> Any:
        found = await self.answers.get()
        if isinstance(found, Exception):
            raise found
        return found, group


async def test_a_request_that_failed_for_want_of_a_broker_counts_for_some_seconds() -> None:
    clock, client = Clock(), Client()
    contact = Contact(clock)
    contact.listen(client)
    assert contact.away() is None
    client.answers.put_nowait(NodeNotReadyError())
    with pytest.raises(NodeNotReadyError):
        await client.send(3, SimpleNamespace())
    assert contact.away() == "a SimpleNamespace request to broker 3 failed: NodeNotReadyError"
    clock.now_s += FAILED_WITHIN_S + 0.1
    assert contact.away() is None


async def test_a_connection_that_uvloop_has_closed_is_one_that_is_lost() -> None:
    """Its error is none of Kafka's, and ended the fetcher of a worker for good."""
    client = Client()
    contact = Contact(Clock())
    contact.listen(client)
    client.answers.put_nowait(RuntimeError("unable to perform operation on <TCPTransport>; the handler is closed"))
    with pytest.raises(KafkaConnectionError, match="the handler is closed"):
        await client.send(3, SimpleNamespace())
    assert contact.away() is not None


async def test_a_request_that_is_refused_is_an_answer() -> None:
    client = Client()
    contact = Contact(Clock())
    contact.listen(client)
    client.answers.put_nowait(TopicAuthorizationFailedError())
    with pytest.raises(TopicAuthorizationFailedError):
        await client.send(3, SimpleNamespace())
    assert contact.away() is None


async def test_a_broker_that_does_not_answer_is_away_until_the_request_should_have_timed_out() -> None:
    """Something that holds a request up for ever is no broker."""
    clock, client = Clock(), Client()
    contact = Contact(clock)
    contact.listen(client)
    asking = asyncio.create_task(client.send(2, SimpleNamespace(), group=7))
    await asyncio.sleep(0)
    assert contact.away() is None
    clock.now_s += SILENT_AFTER_S
    assert contact.away() == "broker 2 does not answer a SimpleNamespace request"
    clock.now_s += SILENT_UNTIL_S
    assert contact.away() is None
    client.answers.put_nowait("answer")
    assert await asking == ("answer", 7)


async def test_who_waits_for_the_other_members_of_a_group_does_not_wait_for_a_broker() -> None:
    clock, client = Clock(), Client()
    contact = Contact(clock)
    contact.listen(client)
    joining = asyncio.create_task(client.send(1, JoinGroupRequest("group", 1, 1, "", "", "consumer", [])))
    await asyncio.sleep(0)
    clock.now_s += SILENT_AFTER_S + 1
    assert contact.away() is None
    client.answers.put_nowait("answer")
    await joining


def test_other_signs_count_too() -> None:
    contact = Contact(Clock())
    contact.signs += [lambda: None, lambda: "t[0] has no leader"]
    assert contact.away() == "t[0] has no leader"


async def test_what_fails_for_want_of_a_broker_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_PAUSE_S", 0.0)
    contact = Contact(Clock())
    answers: list[Any] = [KafkaConnectionError("refused"), TimeoutError(), OSError("unreachable"), 5]

    async def ask() -> int:
        found = answers.pop(0)
        if isinstance(found, Exception):
            raise found
        return int(found)

    assert await contact.until_answered(ask) == 5
    assert contact.away() == "OSError: unreachable"
    answers.append(ProducerFenced())
    with pytest.raises(ProducerFenced):
        await contact.until_answered(ask)


async def test_what_is_asked_again_counts_as_away_until_it_is_answered() -> None:
    """One attempt takes up to aiokafka's time-outs: that nothing has failed meanwhile is no answer."""
    clock, client = Clock(), Client()
    contact = Contact(clock)
    asking = asyncio.ensure_future(contact.until_answered(lambda: client.send(3, SimpleNamespace())))
    client.answers.put_nowait(KafkaTimeoutError("no leader"))
    await eventually(lambda: contact.away() is not None)
    clock.now_s += 40.0
    assert contact.away() == "KafkaTimeoutError: KafkaTimeoutError: no leader"
    clock.now_s += SILENT_UNTIL_S
    assert contact.away() is None, "it hangs, and is none of the brokers' fault"
    client.answers.put_nowait("found")
    assert await asking == ("found", 0)
    assert contact.away() is None


def test_what_may_pass_and_what_does_not() -> None:
    wrapped = KafkaError("FindCoordinator failed")
    wrapped.__cause__ = KafkaConnectionError()
    passing = [KafkaTimeoutError(), GroupCoordinatorNotAvailableError(), NodeNotReadyError(), TimeoutError(), wrapped]
    final = [UnknownTopicOrPartitionError(), ProducerFenced(), IllegalStateError(), KafkaError("why"), ValueError()]
    assert [passes(error) for error in (*passing, *final)] == [True] * len(passing) + [False] * len(final)


def test_an_outage_is_said_once_a_minute_and_its_end_once() -> None:
    saying = Saying()
    with capture_logs() as logs:
        for tenths in range(1500):
            saying.note(tenths / 10, "broker 1 is away")
        for tenths in range(1500, 1600):
            saying.note(tenths / 10, None)
        saying.note(160.0, "for a moment")
        saying.note(161.0, None)
    assert [(log["event"], log["away_s"]) for log in logs] == [
        ("kafka_away", 3), ("kafka_away", 63), ("kafka_away", 123), ("kafka_answers_again", 150.0),
    ]  # fmt: skip
