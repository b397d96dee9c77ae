"""What is not as declared at the broker is said at start; the tables of analyzers are kept like the platform's."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.partitioner import DefaultPartitioner

from app.errors import TapereaderError, TopicMismatch
from app.kafka import topics
from app.kafka.admin import admin_client, check_topics, ensure_topics
from app.kafka.backup import Installed, delete, repartition
from app.kafka.topics import TopicSpec
from app.settings import Settings
from tests.consistency.harness import read_all
from tests.eventually import eventually
from tests.integration.agents.workers import own_broker

pytestmark = pytest.mark.timeout(120)

ANALYZED = TopicSpec("own.ranges", "symbol/kind", "a table of an analyzer", cleanup="compact")


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[str]:
    with own_broker(tmp_path / "kafka") as bootstrap:
        yield bootstrap


async def alter(bootstrap: str, topic: str, **config: Any) -> None:
    async with admin_client(bootstrap) as admin:
        changes = {name.replace("_", "."): str(value) for name, value in config.items()}
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, changes)])


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"min_compaction_lag_ms": 0}, "expected min.compaction.lag.ms=60000 or more, was 0"),
        ({"min_insync_replicas": 2}, "expected min.insync.replicas=1 at most"),
    ],
)
async def test_a_table_that_the_broker_would_compact_too_soon_or_not_let_be_written_is_named(
    broker_url: str, unique: str, config: dict[str, Any], said: str
) -> None:
    spec = TopicSpec(f"checked-{unique}", "symbol", "a table", cleanup="compact")
    await ensure_topics(broker_url, [spec], 2)
    await check_topics(broker_url, [spec], 2)
    declared = {name.replace(".", "_"): value for name, value in spec.config().items()}
    await alter(broker_url, spec.name, **declared | config)

    async def refusal() -> str:
        try:
            await check_topics(broker_url, [spec], 2)
        except TopicMismatch as error:
            return str(error)
        return ""

    # A broker tells of an altered setting a moment later.
    found = await eventually(refusal, timeout_s=20)
    assert said in found
    assert f"kafka-configs --alter --entity-type topics --entity-name {spec.name}" in found


async def test_fewer_replicas_in_sync_than_the_setting_asks_for_are_named(broker_url: str, unique: str) -> None:
    spec = TopicSpec(f"checked-{unique}", "symbol", "a table", cleanup="compact")
    await ensure_topics(broker_url, [spec], 2)
    with pytest.raises(TopicMismatch, match=r"expected min\.insync\.replicas=2 or more, was 1"):
        await check_topics(broker_url, [spec], 2, min_insync_replicas=2)


ROWS = {
    topics.MARKET_QUOTES: ["AAPL", "BRK/B", "A/B/C"],
    topics.TRADE_TAPE: ["AAPL/0", "BRK/B/0", "A/B/C/11"],
    ANALYZED: ["AAPL/high", "BRK/B/high", "A/B/C/low"],
}


@pytest.mark.verify
async def test_more_partitions_take_analyzers_tables_along_and_symbols_with_a_slash_to_their_place(
    broker: str, tmp_path: Path
) -> None:
    """A row must stand where the events of its symbol go; else another worker makes a second one."""
    settings = Settings.load(kafka_bootstrap_servers=broker, partitions=4)
    installed = Installed("tapereader-analyzers", (topics.QUOTES.name,), (ANALYZED,))
    await ensure_topics(broker, [*topics.ALL_TOPICS, ANALYZED], 4)
    producer, partitioner = AIOKafkaProducer(bootstrap_servers=broker), DefaultPartitioner()
    await producer.start()
    for spec, keys in ROWS.items():
        for key in keys:
            place = partitioner(spec.symbol_of(key.encode()), range(4), range(4))
            await producer.send_and_wait(spec.name, b'{"key":"%s"}' % key.encode(), key.encode(), partition=place)
    await producer.stop()

    restored = await repartition(settings, 7, tmp_path / "tables.ndjson.zst", installed)

    assert restored[ANALYZED.declared] == 3
    for spec, keys in ROWS.items():
        found = {record.key.decode(): record.partition for record in await read_all(broker, spec.name)}
        seven = list(range(7))
        assert found == {key: partitioner(spec.symbol_of(key.encode()), seven, seven) for key in keys}


async def test_nothing_is_deleted_or_repartitioned_under_running_or_waiting_analyzers(
    broker: str, tmp_path: Path
) -> None:
    settings = Settings.load(kafka_bootstrap_servers=broker, partitions=2)
    installed = Installed("tapereader-analyzers", (topics.QUOTES.name,), (ANALYZED,))
    await ensure_topics(broker, [*topics.ALL_TOPICS, ANALYZED], 2)
    member = AIOKafkaConsumer(topics.UNKNOWN.name, bootstrap_servers=broker, group_id="tapereader-analyzers")
    await member.start()
    try:
        with pytest.raises(TapereaderError, match="1 workers of group tapereader-analyzers still run"):
            await delete(settings, installed)
    finally:
        await member.stop()
    # The platform's own workers have read everything, the analyzers have not.
    producer = AIOKafkaProducer(bootstrap_servers=broker)
    await producer.start()
    await producer.send_and_wait(topics.QUOTES.name, b"{}", partition=0)
    await producer.stop()
    reader = AIOKafkaConsumer(
        topics.QUOTES.name, bootstrap_servers=broker, group_id="tapereader", auto_offset_reset="earliest"
    )
    await reader.start()
    await reader.getone()
    await reader.commit()
    await reader.stop()
    with pytest.raises(TapereaderError, match="1 events are not processed yet by the workers of group tapereader-ana"):
        await repartition(settings, 3, tmp_path / "tables.ndjson.zst", installed)

    assert await delete(settings, installed) == len(topics.ALL_TOPICS) + 1
