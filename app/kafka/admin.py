"""Creates the topics, or checks that they are as declared."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from app import clock
from app.errors import SettingsError, StartupError, TopicMismatch
from app.kafka.access import Brokers, KafkaAccess
from app.kafka.topics import TopicSpec
from app.settings import Settings

#: What must be as declared for the platform to work; how long records are kept is the operator's.
_CHECKED = ("cleanup.policy", "max.message.bytes")

#: Who waits for Kafka looks this often.
AWAIT_PAUSE_S = 0.1


async def ensure_topics(
    brokers: Brokers,
    specs: Iterable[TopicSpec],
    partitions: int,
    replication_factor: int = 1,
    min_insync_replicas: int = 1,
) -> list[str]:
    """Create what is missing and check the rest; the names of those that were made.

    Raises `TopicMismatch` where a topic is not as declared, `StartupError` where one cannot be made,
    and aiokafka's `KafkaConnectionError` where no broker answers.
    """
    declared = list(specs)
    async with admin_client(brokers) as admin:
        existing = set(await admin.list_topics())
        missing = [spec for spec in declared if spec.name not in existing]
        if missing:
            await _create(admin, missing, partitions, replication_factor, min_insync_replicas)
        await _check(admin, [spec for spec in declared if spec.name in existing], partitions)
        return [spec.name for spec in missing]


async def ensure_declared(settings: Settings, specs: Iterable[TopicSpec]) -> list[str]:
    """As `ensure_topics`, at the Kafka of the settings with their partitions and replicas."""
    if settings.min_insync_replicas > settings.replication_factor:
        raise SettingsError(
            f"TAPEREADER_MIN_INSYNC_REPLICAS = {settings.min_insync_replicas}: expected at most the replicas that "
            f"there are, TAPEREADER_REPLICATION_FACTOR = {settings.replication_factor}"
        )
    return await ensure_topics(
        KafkaAccess.of(settings),
        specs,
        settings.partitions,
        settings.replication_factor,
        settings.min_insync_replicas,
    )


async def set_bounds(settings: Settings, specs: Iterable[TopicSpec]) -> list[str]:
    """Give topics that are there the bounds in bytes that these say; the names of those that had others.

    For a Kafka of our own alone: all of such a topic's configuration becomes the declared one.
    """
    by_name = {spec.name: spec for spec in specs if spec.retention_bytes is not None}
    async with admin_client(KafkaAccess.of(settings)) as admin:
        changed = {}
        for name, config in (await _configs(admin, list(by_name))).items():
            wanted = by_name[name].config()
            if any(config.get(setting) != wanted[setting] for setting in ("retention.bytes", "segment.bytes")):
                changed[name] = {**wanted, "min.insync.replicas": str(settings.min_insync_replicas)}
        if changed:
            answers = await admin.alter_configs(
                [ConfigResource(ConfigResourceType.TOPIC, name, configs=config) for name, config in changed.items()]
            )
            for answer in answers:
                for code, message, _, name in answer.resources:
                    if code:
                        raise StartupError(
                            f"topic {name} could not be bounded: {for_code(code).__name__} {message or ''}"
                        )
    return list(changed)


async def check_topics(brokers: Brokers, specs: Iterable[TopicSpec], partitions: int) -> None:
    """Raise `TopicMismatch` where a topic is missing or not as declared."""
    declared = list(specs)
    async with admin_client(brokers) as admin:
        existing = set(await admin.list_topics())
        for spec in declared:
            if spec.name not in existing:
                raise TopicMismatch(f"topic {spec.name}: expected it to exist; make it by `tapereader topics create`")
        await _check(admin, declared, partitions)


async def await_topics(settings: Settings, specs: Iterable[TopicSpec]) -> None:
    """Wait until Kafka answers and has the topics, for as long as the settings say, and return in either case."""
    deadline_s = clock.monotonic_s() + settings.kafka_wait_s
    missing = {spec.name for spec in specs}
    while missing and clock.monotonic_s() < deadline_s:
        if await _reachable(settings.bootstrap_servers):
            with contextlib.suppress(KafkaError, OSError):
                async with admin_client(KafkaAccess.of(settings)) as admin:
                    while missing := missing - set(await admin.list_topics()):
                        if clock.monotonic_s() > deadline_s:
                            return
                        await asyncio.sleep(AWAIT_PAUSE_S)
        if missing:
            await asyncio.sleep(AWAIT_PAUSE_S)


async def _reachable(bootstrap_servers: str) -> bool:
    """Whether one of the servers accepts a connection; aiokafka would log each that does not."""
    for server in bootstrap_servers.split(","):
        host, _, port = server.strip().rpartition(":")
        with contextlib.suppress(OSError, ValueError, TimeoutError):
            _, writer = await asyncio.wait_for(asyncio.open_connection(host, int(port)), 1.0)
            writer.close()
            return True
    return False


@asynccontextmanager
async def admin_client(brokers: Brokers) -> AsyncIterator[AIOKafkaAdminClient]:
    """An admin client that is connected. Raises `KafkaConnectionError`."""
    admin = AIOKafkaAdminClient(**KafkaAccess.of(brokers).options("admin"))
    try:
        await admin.start()
        yield admin
    finally:
        await admin.close()


def _partitions(spec: TopicSpec, partitions: int) -> int:
    return 1 if spec.single_partition else partitions


async def _create(
    admin: AIOKafkaAdminClient,
    specs: Sequence[TopicSpec],
    partitions: int,
    replication_factor: int,
    min_insync_replicas: int,
) -> None:
    response = await admin.create_topics(
        [
            NewTopic(
                spec.name,
                _partitions(spec, partitions),
                replication_factor,
                topic_configs={**spec.config(), "min.insync.replicas": str(min_insync_replicas)},
            )
            for spec in specs
        ]
    )
    for name, code, *rest in response.topic_errors:
        error = for_code(code)
        # Another process may be making them at the same time.
        if code and error is not TopicAlreadyExistsError:
            raise StartupError(f"topic {name} could not be created: {error.__name__} {rest[0] if rest else ''}")


async def _check(admin: AIOKafkaAdminClient, specs: Sequence[TopicSpec], partitions: int) -> None:
    if not specs:
        return
    by_name = {spec.name: spec for spec in specs}
    for found in await admin.describe_topics(list(by_name)):
        name, count = found["topic"], len(found["partitions"])
        expected = _partitions(by_name[name], partitions)
        if count != expected:
            raise TopicMismatch(
                f"topic {name}: expected {expected} partitions, was {count}; set TAPEREADER_PARTITIONS="
                f"{count}, or see docs/operations.md on adding partitions"
            )
    for name, config in (await _configs(admin, list(by_name))).items():
        for setting in _CHECKED:
            wanted, was = by_name[name].config()[setting], config.get(setting)
            if was != wanted:
                raise TopicMismatch(
                    f"topic {name}: expected {setting}={wanted}, was {was}; set it by `kafka-configs --alter "
                    f"--entity-type topics --entity-name {name} --add-config {setting}={wanted}`"
                )


async def _configs(admin: AIOKafkaAdminClient, names: Sequence[str]) -> dict[str, Mapping[str, str]]:
    answers = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name) for name in names])
    found: dict[str, Mapping[str, str]] = {}
    for answer in answers:
        for code, message, _, name, entries in answer.resources:
            if code:
                raise StartupError(f"topic {name} could not be described: {for_code(code).__name__} {message or ''}")
            found[name] = {entry[0]: entry[1] for entry in entries}
    return found
