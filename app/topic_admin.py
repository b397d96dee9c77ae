"""Creates the topics, or checks that they are as declared."""

from collections.abc import Iterable

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAlreadyExistsError, for_code

from app.errors import StartupError, TopicMismatch
from app.topics import TopicSpec


async def ensure_topics(
    bootstrap_servers: str, specs: Iterable[TopicSpec], partitions: int, replication_factor: int = 1
) -> list[str]:
    """Create what is missing and check the rest; the names of those that were made.

    Raises `TopicMismatch` where a topic has another number of partitions than told, and
    `StartupError` where a topic cannot be made.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    try:
        wanted = {spec.name: 1 if spec.single_partition else partitions for spec in specs}
        existing = set(await admin.list_topics())
        missing = [spec for spec in specs if spec.name not in existing]
        if missing:
            response = await admin.create_topics(
                [
                    NewTopic(spec.name, wanted[spec.name], replication_factor, topic_configs=dict(spec.config()))
                    for spec in missing
                ]
            )
            for name, code, *rest in response.topic_errors:
                error = for_code(code)
                if code and error is not TopicAlreadyExistsError:
                    raise StartupError(f"topic {name} could not be created: {error.__name__} {rest[0] if rest else ''}")
        present = [name for name in wanted if name in existing]
        if present:
            for found in await admin.describe_topics(present):
                name, count = found["topic"], len(found["partitions"])
                if count != wanted[name]:
                    raise TopicMismatch(
                        f"topic {name}: expected {wanted[name]} partitions, was {count}; set TAPEREADER_PARTITIONS="
                        f"{count}, or see docs/operations.md on adding partitions"
                    )
        return [spec.name for spec in missing]
    finally:
        await admin.close()
