"""Whatever workers and three brokers suffer, the market's tables are those of a calm run, every one of them."""

import asyncio
import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.kafka import topics
from app.kafka.admin import ensure_topics
from tests.consistency.harness import disturb, faults_of, read_all
from tests.consistency.market import CODES, RandomMarket
from tests.eventually import eventually
from tests.integration.agents.workers import PARTITIONS, Workers
from tests.kafka_cluster import NODES, KafkaCluster, kafka_cluster
from tests.recomputed import Recomputed, differing
from tests.tape_trades import trades_of

ROUNDS = int(os.environ.get("DIFFERENTIAL_ROUNDS", "5"))
EVENTS_PER_ROUND = 4000


@pytest.mark.long
@pytest.mark.timeout(300 + 50 * ROUNDS)
async def test_whatever_workers_and_brokers_suffer_the_tables_are_those_of_a_calm_run(
    tmp_path: Path, say: Callable[[str], None]
) -> None:
    """Workers are killed, ended, paused and joined by others, brokers killed, paused and restarted in turn."""
    with kafka_cluster(tmp_path / "cluster") as cluster:
        await ensure_topics(cluster.bootstrap_servers, topics.ALL_TOPICS, PARTITIONS, NODES, 2)
        workers = Workers(
            cluster.bootstrap_servers, tmp_path, halting_codes='{"17": "test"}', resuming_codes="18", source="none"
        )
        workers.start()
        workers.start()
        try:
            await _suffer_and_compare(cluster, workers, say)
        finally:
            workers.stop()


async def _suffer_and_compare(cluster: KafkaCluster, workers: Workers, say: Callable[[str], None]) -> None:
    bootstrap = cluster.bootstrap_servers
    market = RandomMarket(bootstrap, PARTITIONS, seed=11, total=EVENTS_PER_ROUND * ROUNDS)
    producing = asyncio.create_task(market.produce(every_s=0.8))
    try:
        done = await disturb(workers, random.Random(14), ROUNDS, broker_faults=faults_of(cluster, "tapereader"))
        await producing
    finally:
        producing.cancel()
    say(f"{market.produced} events, {ROUNDS} rounds: {', '.join(done)}")
    expected = await Recomputed.of(bootstrap, PARTITIONS, CODES, market.rules)
    _raw_topics_are_what_was_sent(expected, market)
    state: dict[str, Any] = {}

    async def tables_are_right() -> bool:
        while workers.reap() or not workers.running:
            workers.start()  # As `up` does.
        state["differences"] = await expected.differences(bootstrap)
        return not state["differences"]

    try:
        await eventually(tables_are_right, timeout_s=150, interval_s=1)
    except AssertionError:
        pytest.fail(f"found and expected: {str(state['differences'])[:20_000]}")
    letters = [json.loads(record.value) for record in await read_all(bootstrap, topics.DEAD_LETTERS.name)]
    assert {(letter["topic"], letter["value"]) for letter in letters} == market.broken


def _raw_topics_are_what_was_sent(expected: Recomputed, market: RandomMarket) -> None:
    """The tables recomputed from the raw topics are those that were folded while the events were made."""
    assert expected.nbbo == market.nbbo
    assert expected.halts == market.halts
    assert expected.alerts.keys() == market.alert_keys
    sent = {symbol: trades_of(windows, symbol) for windows in market.windows for symbol in windows.symbols()}
    found = {symbol: trades_of(part.windows, symbol) for part in expected.tapes for symbol in part.windows.symbols()}
    assert not differing(found, sent)
