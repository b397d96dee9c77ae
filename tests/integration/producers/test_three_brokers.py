"""Whatever three brokers suffer: the producer's events are in Kafka once, all go on, every table is exact."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.eventually import eventually
from tests.integration.agents.workers import Workers
from tests.integration.producers.cluster_rig import Follower, Gaps, everything_is_exact, market_on
from tests.integration.producers.live_rig import Rig
from tests.kafka_cluster import AWAY_S, KafkaCluster, settled

pytestmark = [pytest.mark.verify, pytest.mark.timeout(900)]

#: A broker that is paused keeps its connections, and is not heard of.
PAUSED_S = 20.0


async def leader_killed(cluster: KafkaCluster, workers: Workers) -> None:
    """The node that leads most partitions."""
    await cluster.kill_for(await cluster.leader_of_most(), AWAY_S)


async def coordinator_killed(cluster: KafkaCluster, workers: Workers) -> None:
    """The node that the workers' group depends on."""
    await cluster.kill_for(await cluster.coordinator("tapereader"), AWAY_S)


async def leader_paused(cluster: KafkaCluster, workers: Workers) -> None:
    """It keeps its connections, and is not heard of."""
    await cluster.pause_for(await cluster.leader_of_most(), PAUSED_S)


async def restarted_in_turn(cluster: KafkaCluster, workers: Workers) -> None:
    """As an upgrade does."""
    await cluster.restart_in_turn()


async def leader_and_a_worker_killed(cluster: KafkaCluster, workers: Workers) -> None:
    """Partitions move while brokers are away, and the worker that takes the other's place starts meanwhile."""
    number = await cluster.leader_of_most()
    workers.kill(0)
    workers.start()
    await cluster.kill_for(number, AWAY_S)


FAULTS = (leader_killed, coordinator_killed, leader_paused, restarted_in_turn, leader_and_a_worker_killed)


async def test_whatever_three_brokers_suffer_events_count_once(
    cluster: KafkaCluster, redis_url: str, tmp_path: Path, say: Callable[[str], None]
) -> None:
    """One market over all faults, from before its open: nothing is lost or twice, no worker and no gateway ends.

    Every table is then what a plain fold of the raw topics gives, and the gateway serves it.
    """
    async with market_on(cluster, redis_url, tmp_path) as (rig, workers, gateway):
        async with Follower(gateway) as follower:
            for fault in FAULTS:
                await _suffer(cluster, workers, rig, follower, fault, say)
        await everything_is_exact(rig, gateway, cluster.bootstrap_servers, say)
        assert workers.reap() == 0
        assert len(workers.running) == 2


async def _suffer(
    cluster: KafkaCluster,
    workers: Workers,
    rig: Rig,
    follower: Follower,
    fault: Callable[[KafkaCluster, Workers], Awaitable[None]],
    say: Callable[[str], None],
) -> None:
    before, read = list(workers.running), follower.events
    with Gaps(cluster, rig, follower) as gaps:
        await fault(cluster, workers)
        await settled(cluster)
        await rig.flowing(1000)
        await eventually(lambda: follower.events > read, timeout_s=60)
    say(f"{fault.__name__}: longest gap {await gaps.found()}")
    ended = [process.returncode for process in workers.running if process in before and process.poll() is not None]
    assert not ended, f"a worker has ended by itself during {fault.__name__}"
    assert workers.reap() == 0, "a worker that was started while a broker was away has ended"
