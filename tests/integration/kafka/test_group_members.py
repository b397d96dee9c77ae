"""How many workers run: what a group says of its members while it is formed anew is not settled yet."""

import asyncio
import subprocess
import sys

import pytest
from aiokafka import AIOKafkaConsumer

from app.kafka.admin import admin_client, ensure_topics, running_workers
from app.kafka.topics import TopicSpec
from tests.eventually import eventually

#: A member, until it is killed.
MEMBER = """
import asyncio, sys
from aiokafka import AIOKafkaConsumer
async def main():
    server, name = sys.argv[1:]
    consumer = AIOKafkaConsumer(name, bootstrap_servers=server, group_id=name, session_timeout_ms=6000)
    await consumer.start()
    await asyncio.Event().wait()
asyncio.run(main())
"""


async def state_of(bootstrap: str, group: str) -> str:
    async with admin_client(bootstrap) as admin:
        (answer,) = await admin.describe_consumer_groups([group])
    return str(answer.groups[0][2])


@pytest.mark.verify
async def test_a_member_that_was_killed_does_not_count_though_the_group_still_waits_for_it(
    broker_url: str, unique: str
) -> None:
    await ensure_topics(broker_url, [TopicSpec(unique, "symbol", "of the test")], 2)
    with subprocess.Popen([sys.executable, "-c", MEMBER, broker_url, unique]) as killed:
        try:
            await eventually(lambda: running(broker_url, unique, 1))
        finally:
            killed.kill()
    joining = AIOKafkaConsumer(unique, bootstrap_servers=broker_url, group_id=unique, session_timeout_ms=6000)
    starting = asyncio.create_task(joining.start())
    try:

        async def forming() -> bool:
            return await state_of(broker_url, unique) == "PreparingRebalance"

        await eventually(forming, interval_s=0.02)
        assert await running_workers(broker_url, unique) == 1
    finally:
        await starting
        await joining.stop()


async def running(bootstrap: str, group: str, count: int) -> bool:
    return await running_workers(bootstrap, group) == count
