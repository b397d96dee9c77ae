"""Creates the topics, or checks that they are as declared."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    KafkaError,
    NotCoordinatorForGroupError,
    TopicAlreadyExistsError,
    UnknownTopicOrPartitionError,
    for_code,
)

from app import clock
from app.errors import StartupError, TopicMismatch
from app.kafka.access import Brokers, KafkaAccess
from app.kafka.clients import new_admin
from app.kafka.topics import TopicSpec
from app.settings import Settings

#: What must be as declared for the platform to work; how long records are kept is the operator's.
_EQUAL = ("cleanup.policy", "max.message.bytes")
#: What must be as declared at least: a changelog whose records are compacted sooner loses the flush that a stale writer
#: overwrote before anyone has read it.
_AT_LEAST = ("min.compaction.lag.ms",)

#: Where a described group has its state and its members, in every version of the answer; later ones have fields behind
#: them.
_STATE, _MEMBERS = 2, 5

#: A group that is being formed anew is known within this time (s): a member that is gone counts until its session ends,
#: 10 s by default, where it went in the middle of it.
FORMED_WITHIN_S = 30.0

#: A topic that was just made is named by the broker within this time (s).
KNOWN_WITHIN_S = 15.0

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
        await _check(admin, [spec for spec in declared if spec.name in existing], partitions, min_insync_replicas)
        return [spec.name for spec in missing]


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


async def check_topics(
    brokers: Brokers, specs: Iterable[TopicSpec], partitions: int, min_insync_replicas: int = 1
) -> None:
    """Raise `TopicMismatch` where a topic is missing or not as declared."""
    declared = list(specs)
    async with admin_client(brokers) as admin:
        existing = set(await admin.list_topics())
        for spec in declared:
            if spec.name not in existing:
                raise TopicMismatch(f"topic {spec.name}: expected it to exist; make it by `tapereader topics create`")
        await _check(admin, declared, partitions, min_insync_replicas)


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
            async with asyncio.timeout(1.0):
                _, writer = await asyncio.open_connection(host, int(port))
            writer.close()
            return True
    return False


@asynccontextmanager
async def admin_client(brokers: Brokers) -> AsyncIterator[AIOKafkaAdminClient]:
    """An admin client that is connected. Raises `KafkaConnectionError`."""
    admin = new_admin(brokers, "admin")
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


async def _check(
    admin: AIOKafkaAdminClient, specs: Sequence[TopicSpec], partitions: int, min_insync_replicas: int
) -> None:
    if not specs:
        return
    by_name = {spec.name: spec for spec in specs}
    replicas: dict[str, int] = {}
    for name, parts in (await described(admin, list(by_name))).items():
        expected = _partitions(by_name[name], partitions)
        if len(parts) != expected:
            raise TopicMismatch(
                f"topic {name}: expected {expected} partitions, was {len(parts)}; set TAPEREADER_PARTITIONS="
                f"{len(parts)}, or see docs/operations.md on adding partitions"
            )
        replicas[name] = min(len(part["replicas"]) for part in parts)
    for name, config in (await _configs(admin, list(by_name))).items():
        _check_config(by_name[name], config, min_insync_replicas)
        if int(config["min.insync.replicas"]) > replicas[name]:
            raise TopicMismatch(
                f"topic {name}: expected min.insync.replicas={replicas[name]} at most, since it has so many replicas, "
                f"was {config['min.insync.replicas']}: nothing could be written; {_alter(name, replicas[name])}"
            )


def _check_config(spec: TopicSpec, config: Mapping[str, str], min_insync_replicas: int) -> None:
    declared = spec.config()
    for setting in _EQUAL:
        if config.get(setting) != declared[setting]:
            raise TopicMismatch(
                f"topic {spec.name}: expected {setting}={declared[setting]}, was {config.get(setting)}; "
                f"{_alter(spec.name, declared[setting], setting)}"
            )
    least = {name: declared[name] for name in _AT_LEAST if name in declared}
    for setting, wanted in {**least, "min.insync.replicas": str(min_insync_replicas)}.items():
        if int(config.get(setting, 0)) < int(wanted):
            raise TopicMismatch(
                f"topic {spec.name}: expected {setting}={wanted} or more, was {config.get(setting)}; "
                f"{_alter(spec.name, wanted, setting)}"
            )


def _alter(name: str, value: str | int, setting: str = "min.insync.replicas") -> str:
    return f"set it by `kafka-configs --alter --entity-type topics --entity-name {name} --add-config {setting}={value}`"


async def described(admin: AIOKafkaAdminClient, names: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """The partitions of some topics. Those of a topic that was just made are not named at once.

    Raises `StartupError` where one is not named in time.
    """
    deadline_s = clock.monotonic_s() + KNOWN_WITHIN_S
    while True:
        found = {topic["topic"]: topic["partitions"] for topic in await admin.describe_topics(list(names))}
        missing = [name for name in names if not found.get(name)]
        if not missing:
            return found
        if clock.monotonic_s() > deadline_s:
            raise StartupError(f"topic {missing[0]} is not there; `tapereader topics create` makes it")
        await asyncio.sleep(0.2)


async def running_workers(brokers: Brokers, group: str) -> int:
    """How many workers of a consumer group run. A group that is being formed anew is waited for."""
    deadline_s = clock.monotonic_s() + FORMED_WITHIN_S
    async with admin_client(brokers) as admin:
        while True:
            answers = await _coordinated(lambda: admin.describe_consumer_groups([group]))
            found = [each for answer in answers for each in answer.groups]
            forming = any(each[_STATE] in ("PreparingRebalance", "CompletingRebalance") for each in found)
            if not forming or clock.monotonic_s() > deadline_s:
                return sum(len(each[_MEMBERS]) for each in found)
            await asyncio.sleep(0.2)


async def committed_offsets(brokers: Brokers, group: str) -> dict[TopicPartition, int]:
    """Up to where a consumer group has committed; nothing of partitions of which it has not."""
    async with admin_client(brokers) as admin:
        found = await _coordinated(lambda: admin.list_consumer_group_offsets(group))
    return {part: meta.offset for part, meta in found.items() if meta.offset >= 0}


async def _coordinated(ask: Callable[[], Awaitable[Any]]) -> Any:
    """An answer of a group's coordinator. A Kafka that never had a group has none until the first question made it."""
    deadline_s = clock.monotonic_s() + KNOWN_WITHIN_S
    while True:
        try:
            return await ask()
        except (GroupCoordinatorNotAvailableError, GroupLoadInProgressError, NotCoordinatorForGroupError):
            if clock.monotonic_s() > deadline_s:
                raise
            await asyncio.sleep(0.2)


async def _configs(admin: AIOKafkaAdminClient, names: Sequence[str]) -> dict[str, Mapping[str, str]]:
    deadline_s = clock.monotonic_s() + KNOWN_WITHIN_S
    while True:
        answers = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name) for name in names])
        resources = [resource for answer in answers for resource in answer.resources]
        # A topic that was just made is not known to every broker yet, nor to one of them for every question.
        unknown = any(code == UnknownTopicOrPartitionError.errno for code, *_ in resources)
        if not unknown or clock.monotonic_s() > deadline_s:
            break
        await asyncio.sleep(0.2)
    found: dict[str, Mapping[str, str]] = {}
    for code, message, _, name, entries in resources:
        if code:
            raise StartupError(f"topic {name} could not be described: {for_code(code).__name__} {message or ''}")
        found[name] = {entry[0]: entry[1] for entry in entries}
    return found
