"""Several platforms on one Kafka: each has its topics, and none touches another's."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.errors import TapereaderError, TopicsTaken
from app.kafka import topics
from app.kafka.admin import admin_client, ensure_topics
from app.kafka.backup import Installed, delete
from app.kafka.owner import check_owner, claim_topics, take_over
from app.settings import Settings
from tests.consistency.harness import read_all
from tests.integration.agents.workers import own_broker
from tests.integration.kafka.test_backup import command, folded, publish
from tests.integration.local.platform_run import Platform, platform_run

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[str]:
    with own_broker(tmp_path / "kafka") as bootstrap:
        yield bootstrap


@pytest.fixture
def platform(broker: str, redis_url: str, tmp_path: Path) -> Iterator[Platform]:
    with platform_run(broker, redis_url, tmp_path, source="none") as found:
        yield found


async def groups(bootstrap: str) -> set[str]:
    async with admin_client(bootstrap) as admin:
        return {group for group, *_ in await admin.list_consumer_groups()}


async def places(bootstrap: str) -> set[tuple[int, int]]:
    """Partition and offset of every record of the quotes."""
    return {(record.partition, record.offset) for record in await read_all(bootstrap, topics.MARKET_QUOTES.name)}


@pytest.mark.verify
async def test_a_worker_that_finds_another_s_tables_ends_with_one_sentence_and_touches_nothing(
    platform: Platform, broker: str
) -> None:
    await command(platform, "topics", "create")
    platform.start("first", "worker")
    await publish(platform, 0, 5)
    await folded(platform, "first")
    before = await places(broker)

    platform.start("second", "worker", app_id="other")
    assert await asyncio.to_thread(platform.processes["second"].wait, 60) == 1
    (said,) = [line for line in platform.log("second").splitlines() if "worker_failed" in line]
    assert "belong to the platform 'tapereader', and this one is 'other'" in json.loads(said)["error"]
    assert "TAPEREADER_TOPIC_PREFIX" in json.loads(said)["error"]
    assert "Traceback" not in platform.log("second")
    assert await places(broker) == before
    assert "other" not in await groups(broker)

    # The other platform's commands do not harm the first one's topics either.
    platform.environment["TAPEREADER_APP_ID"] = "other"
    for arguments in (("topics", "create"), ("topics", "check"), ("topics", "delete", "--yes")):
        assert "belong to the platform" in await command(platform, *arguments, code=1)
    assert "workers of group tapereader still run" in await command(platform, "topics", "take-over", "--yes", code=1)
    del platform.environment["TAPEREADER_APP_ID"]

    # With topics of its own it runs beside the first one.
    platform.environment["TAPEREADER_TOPIC_PREFIX"] = "other."
    await command(platform, "topics", "create")
    platform.start("third", "worker")
    await platform.ready("third")
    assert {"tapereader", "other.tapereader"} <= await groups(broker)
    assert await places(broker) == before
    assert "rows in" in await command(platform, "topics", "backup", str(platform.logs / "other.ndjson.zst"))
    assert platform.processes["first"].poll() is None


async def test_of_platforms_that_claim_at_the_same_time_one_is_the_owner(broker: str) -> None:
    await ensure_topics(broker, topics.ALL_TOPICS, 2)
    platforms = [Settings.load(kafka_bootstrap_servers=broker, app_id=f"platform-{number}") for number in range(5)]
    results = await asyncio.gather(*map(claim_topics, platforms), return_exceptions=True)
    assert results.count(frozenset()) == 1, results
    assert sum(isinstance(result, TopicsTaken) for result in results) == 4
    (owner,) = [one for one, result in zip(platforms, results, strict=True) if result == frozenset()]
    for other in platforms:
        if other is not owner:
            with pytest.raises(TopicsTaken, match=f"belong to the platform '{owner.app_id}'"):
                await check_owner(other)
    # A claim is for ever, until another is told to take over.
    await claim_topics(owner)
    heir = next(one for one in platforms if one is not owner)
    assert await take_over(heir) == owner.app_id
    assert await claim_topics(heir) == {owner.app_id}
    with pytest.raises(TopicsTaken, match=f"belong to the platform '{heir.app_id}'"):
        await claim_topics(owner)
    with pytest.raises(TapereaderError):
        await delete(owner, Installed(f"{owner.app_id}-analyzers"))
    # Topics that are made anew are nobody's.
    await delete(heir, Installed(f"{heir.app_id}-analyzers"))
    await ensure_topics(broker, topics.ALL_TOPICS, 2)
    await claim_topics(owner)
