"""Two of three brokers that are killed for longer than any expiry: all keep what they have, wait, say so, and go on."""

import asyncio
import json
import signal
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.eventually import eventually
from tests.gateway_stack import GatewayProcess
from tests.integration.agents.workers import Workers
from tests.integration.producers.cluster_rig import Follower, Gaps, everything_is_exact, market_on
from tests.kafka_cluster import KafkaCluster

pytestmark = [pytest.mark.verify, pytest.mark.timeout(600)]

#: Longer than a worker's session (6 s) and than aiokafka waits for a request (40 s) or delivers a batch (30 s).
AWAY_S = 50.0

#: All go on within this time on a machine with another load; the figures are printed.
BACK_S = 20.0


async def test_all_wait_for_two_of_three_brokers(
    cluster: KafkaCluster, redis_url: str, tmp_path: Path, say: Callable[[str], None]
) -> None:
    """Also a worker that is started meanwhile, and one that is told to stop; nothing is lost, every table is exact."""
    async with market_on(cluster, redis_url, tmp_path) as (rig, workers, gateway):
        async with Follower(gateway) as follower:
            with Gaps(cluster, rig, follower) as gaps:
                gone = [await cluster.leader_of_most(), await cluster.coordinator("tapereader")]
                gone = list(dict.fromkeys([*gone, *cluster.nodes]))[:2]
                async with cluster.killed(*gone):
                    began_s = time.monotonic()
                    await _started_meanwhile(workers)
                    await eventually(lambda: _says_that_kafka_is_away(gateway), timeout_s=30)
                    await asyncio.sleep(max(0.0, began_s + AWAY_S - time.monotonic()))  # The outage is what is tested.
                    assert workers.reap() == 0, "a worker has ended for want of brokers"
                await eventually(cluster.writable, timeout_s=60)
                back_s, before, since = time.monotonic(), gaps.now(), dict[str, float]()

                def go_on() -> bool:
                    for name, count in gaps.now().items():
                        if count > before[name] and name not in since:
                            since[name] = time.monotonic() - back_s
                    return since.keys() == before.keys()

                await eventually(go_on, timeout_s=BACK_S, interval_s=0.02)
            found = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in since.items())
            say(
                f"two of three brokers away for {AWAY_S:.0f} s: longest gap {await gaps.found()}; from the time when "
                f"every partition could be written again: {found}"
            )
            await eventually(lambda: _answered(workers), timeout_s=BACK_S)
            await eventually(lambda: "partition_taken_over" in _log(workers, 3), timeout_s=60)
        await everything_is_exact(rig, gateway, cluster.bootstrap_servers, say)
        assert workers.reap() == 0
        for number in (1, 2, 3):
            text = _log(workers, number)
            assert 1 <= text.count("kafka_away") <= 2, f"worker {number} says so once a minute"
        said = [line for line in gateway.log().splitlines() if "background_task_starts_again" in line]
        assert 1 <= sum("task=table-reader" in line for line in said) <= 2, said


async def _started_meanwhile(workers: Workers) -> None:
    """One worker that goes on waiting, and one that is stopped while it waits."""
    workers.start()
    workers.start()
    await eventually(lambda: all("kafka_away" in _log(workers, number) for number in (3, 4)), timeout_s=180)
    assert await asyncio.to_thread(workers.end, 3, signal.SIGTERM, 40) == 0


def _log(workers: Workers, number: int) -> str:
    return (workers.logs / f"worker-{number}.log").read_text(encoding="utf-8", errors="replace")


def _answered(workers: Workers) -> bool:
    return all("kafka_answers_again" in _log(workers, number) for number in (1, 2, 3))


async def _says_that_kafka_is_away(gateway: GatewayProcess) -> bool:
    async with httpx.AsyncClient(base_url=gateway.url, timeout=10) as http:
        answer = await http.get("/readyz")
    return answer.status_code == 503 and "Kafka at 127.0.0.1" in json.dumps(answer.json()["reasons"])
