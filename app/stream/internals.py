"""Every private point of Faust and aiokafka that the engine needs, in one place.

`tests/contracts/test_engine_internals.py` fails when a release changes one of them.

Each with the reason why no public one does:

- aiokafka `AIOKafkaConsumer._fetcher`, `Fetcher._records`, `FetchResult`, `PartitionRecords`, `TopicPartitionState`:
  `getmany`
  builds an object of eleven fields per record and gives up on a partition at the first batch that
  it cannot decode; `AIOKafkaConsumer._fetch_max_wait_ms`: Faust has a constant there;
- faust `AIOKafkaConsumerThread._fetch_records`: where the thread reads from aiokafka;
- faust `Consumer._new_offset`, `._add_gap`, `._filter_tps_with_pending_acks`: commits count single offsets;
- faust `Producer._settings_extra`, `._ensure_producer`, `._new_producer`: no setting for idempotence, no way to send a
  record batch, no producer with an id of ours;
- aiokafka `AIOKafkaProducer._txn_manager`, `TransactionManager.transactional_id`: no producer that has an epoch and
  writes no transactions;
- faust `Recovery._wait`, `.active_tps`, `.standby_tps`, `.active_offsets`, `TableManager._recovery`,
  `._update_channels`: what Faust reads back itself, that it goes on without a step that took long, and that it waits
  for a second at each start;
- faust `Conductor._topics`: which topics there are;
- aiokafka `AIOKafkaConsumer._client`, `._coordinator`, `GroupCoordinator.coordinator_id`: whether brokers answer;
- faust `AIOKafkaConsumerThread._consumer`, `Producer._producer`: to give up a client that could not be started.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer.fetcher import FetchResult
from aiokafka.errors import CorruptRecordException
from faust.transport.drivers import aiokafka as driver

from app.stream.batches import RecordBatch, Undecodable
from app.stream.contact import Contact
from app.stream.producing import repeat_until_answered

#: How soon records that back-pressure holds back are looked at again. Nothing wakes the reader when
#: a stream's buffer drops, so that with Faust's second a stateless agent stood still half the time.
HELD_BACK_POLL_S = 0.005


#: How long the broker may hold a fetch for want of data. aiokafka has one fetch under way per
#: broker, and one for quiet partitions alone keeps the busy ones waiting: with Faust's 1,500 ms a
#: stateless agent read 175,000 records/s and idled half the time.
FETCH_MAX_WAIT_MS = 15

#: The same for changelogs. A standby that has read all asks so often, and a partition that comes to those that are
#: read waits for the request that is under way.
READER_MAX_WAIT_MS = 50

#: Most of a partition in one fetch: about 5,000 compressed records, which hold the event loop up for some 10 ms.
READER_FETCH_BYTES = 256 * 1024


#: A fetch may bring more than up to the end that it tells: Kafka looks for the end first and then reads, so that those
#: acknowledged in between come with it (seen while brokers were hurt: one of 80,000 was taken for damaged). The next
#: fetch tells an end behind them. What is behind the end in so many fetches in a row has damaged offsets.
BEHIND_END_LOOKS = 3


def limit_fetch_wait(consumer: Any) -> None:
    """Bound how long quiet partitions hold up busy ones; before the consumer is started."""
    consumer._fetch_max_wait_ms = FETCH_MAX_WAIT_MS


def drain(
    result: FetchResult, topic: str, partition: int, *, check_crcs: bool, trace_header: str | None = None
) -> RecordBatch | None:
    """Everything that a fetch brought for a partition, as one batch; None where it is outdated.

    A record batch that cannot be read (codec missing, checksum wrong, bytes broken) becomes an
    `Undecodable` stretch and the next one is tried. One that ends behind the partition's end is fetched again first.
    """
    tp = result._topic_partition
    if not result.has_more() or not result.check_assignment(tp):
        return None
    parsed = result._partition_records
    source, position = parsed._records, parsed.next_fetch_offset
    state = result._assignment.state_value(tp)
    began, end = position, state.highwater
    records: list[Any] = []
    undecodable: list[Undecodable] = []
    traces: list[bytes] = []
    while source.has_next():
        batch, start = source.next_batch(), len(records)
        try:
            if check_crcs and not batch.validate_crc():
                raise CorruptRecordException("the checksum does not match")
            position = _goes_on(undecodable, batch.base_offset, position)
            if batch.next_offset > end and _is_fetched_again(state, position):
                break
            if not position < batch.next_offset <= end:
                # Its base offset is in no checksum. Believed, the partition would stand still or be passed over.
                raise CorruptRecordException(f"it ends at {batch.next_offset}, expected {position + 1} to {end}")
            if not batch.is_control_batch:
                records.extend(batch)
                if records[start:] and records[start].offset < position:
                    records[start:] = [record for record in records[start:] if record.offset >= position]
                # Whoever traces marks the first record of a record batch: one look for all of it.
                if trace_header is not None and records[start:]:
                    traces += [value for name, value in records[start].headers if name == trace_header and value]
        except Exception as error:
            del records[start:]
            undecodable.append(_stretch(batch, position, end, error))
            position = undecodable[-1].next_offset
        else:
            position = batch.next_offset
    parsed.next_fetch_offset = position
    result._update_position()
    result._partition_records = None
    if position == began and not undecodable:
        return None
    return RecordBatch(topic, partition, records, position, undecodable, traces, began)


def _is_fetched_again(state: Any, position: int) -> bool:
    """Whether what is behind the partition's end may be there in the next fetch; noted at the partition's state."""
    at, looks = getattr(state, "behind_end", (None, 0))
    looks = looks + 1 if at == position else 1
    state.behind_end = position, looks
    return looks < BEHIND_END_LOOKS


def _stretch(batch: Any, position: int, end: int, error: Exception) -> Undecodable:
    """What a damaged record batch stands for. Its own word for its offsets may be what is damaged."""
    after = max(position + 1, min(batch.next_offset, end))
    first = batch.base_offset if position < batch.base_offset < after else position
    return Undecodable(first, after, f"{type(error).__name__}: {error}")


def _goes_on(undecodable: list[Undecodable], first_offset: int, position: int) -> int:
    """Where reading is at the beginning of a sound record batch: a damaged one before it ends there at the latest."""
    if undecodable and undecodable[-1].next_offset == position > first_offset > undecodable[-1].first_offset:
        undecodable[-1] = undecodable[-1]._replace(next_offset=first_offset)
        return first_offset
    return position


async def fetched(
    consumer: Any,
    allowed: Callable[[], Collection[Any] | None],
    timeout_s: float,
    batched: set[str],
    trace_header: str | None = None,
) -> dict[Any, Any]:
    """What the fetcher holds: a `RecordBatch` for topics in `batched`, records for the others.

    Waits up to `timeout_s` for something to arrive. `allowed` names the partitions that may be read, None for
    all; it is asked at the moment of reading, since the assignment may change while this waits. Headers named
    `trace_header` of first records become the batches' traces. Follows aiokafka's `Fetcher.fetched_records`.
    """
    fetcher = consumer._fetcher
    subscriptions = fetcher._subscriptions
    with subscriptions.fetch_context():
        if subscriptions.reassignment_in_progress:
            await subscriptions.wait_for_assignment()
        partitions = allowed()
        drained = _drain_all(fetcher, partitions, batched, consumer._max_poll_records, trace_header)
        if drained:
            return drained
        if partitions is not None and any(tp not in partitions for tp in fetcher._records):
            timeout_s = min(timeout_s, HELD_BACK_POLL_S)
        waiter = fetcher._create_fetch_waiter()
        done, _ = await asyncio.wait([waiter], timeout=timeout_s)
        if not done:
            waiter.cancel()
            return {}
        waiter.result()
        return _drain_all(fetcher, allowed(), batched, consumer._max_poll_records, trace_header)


def _drain_all(
    fetcher: Any, partitions: Any, batched: set[str], max_records: int | None, trace_header: str | None
) -> dict[Any, Any]:
    drained: dict[Any, Any] = {}
    for tp in list(fetcher._records):
        if partitions is not None and tp not in partitions:
            if not fetcher._subscriptions.is_assigned(tp) or tp in fetcher._subscriptions.paused_partitions():
                del fetcher._records[tp]
            continue
        result = fetcher._records[tp]
        if type(result) is not FetchResult:
            if drained:
                return drained
            del fetcher._records[tp]
            fetcher._notify(fetcher._wait_consume_future)
            result.check_raise()
            continue
        found: Any
        if tp.topic in batched:
            found = drain(result, tp.topic, tp.partition, check_crcs=fetcher._check_crcs, trace_header=trace_header)
        else:
            found = result.getall(max_records)
        if not result.has_more():
            del fetcher._records[tp]
            fetcher._notify(fetcher._wait_consume_future)
        if found or isinstance(found, RecordBatch):
            drained[tp] = found  # a batch without records moves the position: compaction, markers
    return drained


def hold(consumer: Any, held: Callable[[Any], bool]) -> None:
    """Fetch nothing of the assigned partitions that are `held`, and all others; in the consumer's own thread."""
    paused = consumer.paused()
    wanted = {tp for tp in consumer.assignment() if held(tp)}
    consumer.pause(*(wanted - paused))
    consumer.resume(*(paused - wanted))


def new_reader(app: Any) -> AIOKafkaConsumer:
    """A consumer of no group, as Faust reaches the brokers; not started."""
    conf, transport = app.conf, app.transport
    return AIOKafkaConsumer(
        bootstrap_servers=driver.server_list(transport.url, transport.default_port),
        client_id=f"{conf.broker_client_id}-changelogs",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        check_crcs=True,
        fetch_max_wait_ms=READER_MAX_WAIT_MS,
        max_partition_fetch_bytes=READER_FETCH_BYTES,
        request_timeout_ms=int(conf.broker_request_timeout * 1000),
        metadata_max_age_ms=conf.consumer_metadata_max_age_ms,
        **driver.credentials_to_aiokafka_auth(conf.broker_credentials, conf.ssl_context),
    )


def read_from(reader: AIOKafkaConsumer, offsets: Mapping[Any, int | None]) -> None:
    """Have a reader read these partitions from now on, each from its offset; None: from the start of its log."""
    if not offsets:
        reader.unsubscribe()
        return
    reader.assign([TopicPartition(*tp) for tp in offsets])
    for tp, offset in offsets.items():
        if offset is not None:
            reader.seek(TopicPartition(*tp), offset)


async def each_fetched(
    reader: Any, timeout_s: float, is_shared: Callable[[], bool]
) -> AsyncIterator[tuple[Any, RecordBatch]]:
    """What a reader has fetched, partition by partition, each drained when it is its turn; waits up to `timeout_s`.

    While the event loop `is_shared` with other work, that has as much time as the reading takes: a fold goes through
    many turns of the loop, and would wait for a drain in each. Raises `KafkaError` where the brokers refuse.
    """
    clock = asyncio.get_running_loop()
    fetcher = reader._fetcher
    if not fetcher._records:
        waiter = fetcher._create_fetch_waiter()
        done, _ = await asyncio.wait([waiter], timeout=timeout_s)
        if not done:
            waiter.cancel()
            return
        waiter.result()
    for tp in list(fetcher._records):
        began_s = clock.time()
        for found in _drain_all(fetcher, {tp}, {tp.topic}, None, None).values():
            yield tp, found
        await asyncio.sleep(clock.time() - began_s if is_shared() else 0.0)


def kafka_producer(app: Any) -> Any:
    """The aiokafka producer inside Faust's: it can send whole record batches."""
    return app.producer._ensure_producer()


def listen_to_consumer(consumer: Any, contact: Contact) -> None:
    """Have a contact hear of a consumer's requests, and of partitions and groups that no broker leads."""
    contact.listen(consumer._client)
    contact.signs[:] = [lambda: _unled(consumer)]


def _unled(consumer: Any) -> str | None:
    if consumer._closed:
        return None
    cluster = consumer._client.cluster
    for tp in consumer.assignment():
        if cluster.leader_for_partition(tp) == -1:
            return f"{tp.topic}[{tp.partition}] has no leader"
    if consumer._coordinator.coordinator_id is None:
        return "the consumer group has no coordinator"
    return None


async def give_up_consumer(consumer: Any) -> None:
    """Close a consumer that could not be started."""
    consumer._closed = True
    await consumer._client.close()


def lasting(producer: Any, contact: Contact) -> Any:
    """The producer, made to repeat its batches while brokers are away; not started."""
    contact.listen(producer.client)
    repeat_until_answered(producer, contact.failed)
    return producer


def new_producer(app: Any, transactional_id: str) -> Any:
    """An aiokafka producer as Faust's, with a transactional id; not started."""
    return app.producer._new_producer(transactional_id=transactional_id)


async def start_fenced(producer: Any) -> tuple[int, int]:
    """Start a producer that has a transactional id, and write no transactions with it: its producer id and epoch.

    The id brings the next epoch. Without it aiokafka writes as an idempotent producer, with that epoch in each record
    batch; it asks for no other one, since it has one.
    """
    await producer.start()
    manager = producer._txn_manager
    manager.transactional_id = None
    return manager.producer_id, manager.producer_epoch


def declared_topics(app: Any) -> list[Any]:
    """The topics that agents and tables have registered with Faust."""
    return list(app.topics._topics)
