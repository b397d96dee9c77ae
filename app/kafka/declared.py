"""The declared topics at the Kafka of the settings: made, checked, and whether they are ours."""

from collections.abc import Iterable

from app.errors import SettingsError
from app.kafka.access import KafkaAccess
from app.kafka.admin import check_topics, ensure_topics
from app.kafka.owner import check_owner
from app.kafka.topics import TopicSpec
from app.settings import Settings


async def ensure_declared(settings: Settings, specs: Iterable[TopicSpec]) -> list[str]:
    """As `ensure_topics`, with the settings' partitions and replicas; nothing is made among another's topics.

    Raises `TopicsTaken` as well, and `SettingsError`.
    """
    if settings.min_insync_replicas > settings.replication_factor:
        raise SettingsError(
            f"TAPEREADER_MIN_INSYNC_REPLICAS = {settings.min_insync_replicas}: expected at most the replicas that "
            f"there are, TAPEREADER_REPLICATION_FACTOR = {settings.replication_factor}"
        )
    access = KafkaAccess.of(settings)
    await check_owner(settings, access)
    return await ensure_topics(
        access,
        specs,
        settings.partitions,
        settings.replication_factor,
        settings.min_insync_replicas,
    )


async def check_declared(settings: Settings, specs: Iterable[TopicSpec]) -> None:
    """Raise `TopicMismatch` where a topic is missing or not as declared, `TopicsTaken` where it is another's."""
    access = KafkaAccess.of(settings)
    await check_owner(settings, access)
    await check_topics(access, specs, settings.partitions, settings.min_insync_replicas)
