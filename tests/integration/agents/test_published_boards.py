"""Every board that workers ever publish is sorted and whole, over rebalances and deaths."""

import asyncio
import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from app import clock
from app.kafka import topics
from app.kafka.admin import ensure_topics, running_workers
from app.market.calendar import TradingCalendar
from app.market.ranking import BOARDS
from producers.publisher import Publisher
from producers.routing import Routed, route_event
from producers.simulator.market import MarketModel
from tests.consistency.harness import read_all, table
from tests.eventually import eventually
from tests.gateway_stack import TEN_ET_MS
from tests.integration.agents.workers import PARTITIONS, Workers, own_broker

SYMBOLS = 300
#: Boards that are published before the next thing happens.
PUBLISHED = 30
MOST_SECONDS = 120
SCORES = {board.name: board for board in BOARDS}


@pytest.mark.verify
@pytest.mark.timeout(300)
async def test_every_board_ever_published_is_sorted_without_nulls_while_workers_come_and_go(tmp_path: Path) -> None:
    """A worker joins, another is killed, partitions move: no board says what no ranking of rows could say."""
    with own_broker(tmp_path / "kafka") as bootstrap:
        await ensure_topics(bootstrap, topics.ALL_TOPICS, PARTITIONS)
        workers = Workers(bootstrap, tmp_path, source="none", publish_interval_ms="250")
        workers.start()
        try:
            await _members(bootstrap, 1)
            await _market(bootstrap, workers)
            await _settled(bootstrap)
            boards = [
                (record.offset, json.loads(record.value))
                for record in await read_all(bootstrap, topics.LEADERBOARDS.name)
                if record.value is not None
            ]
            assert not await read_all(bootstrap, topics.DEAD_LETTERS.name)
        finally:
            workers.stop()
    assert len(boards) >= 3 * PUBLISHED
    for _, board in boards:
        _is_a_ranking(board)
    # One partition holds all boards, so that a board's records stand in one order.
    for name in SCORES:
        times = [board["published_ns"] for _, board in boards if board["board"] == name]
        assert times == sorted(times)


async def _market(bootstrap: str, workers: Workers) -> None:
    """A market during which a worker joins and the first one dies, each once boards were published again."""
    model = MarketModel(TradingCalendar.new_york(), symbols=SYMBOLS, seed=3, events_per_s=2000, start_ms=TEN_ET_MS)

    async def published_again(publisher: Publisher) -> None:
        before = len(await read_all(bootstrap, topics.LEADERBOARDS.name))
        for _ in range(MOST_SECONDS):
            events = map(route_event, model.encode(model.second(), frozenset({"A", "T"})).events)
            now_ns = clock.wall_ns()
            await publisher.publish((event, now_ns) for event in events if isinstance(event, Routed))
            if len(await read_all(bootstrap, topics.LEADERBOARDS.name)) >= before + PUBLISHED:
                return
            await asyncio.sleep(0.5)
        pytest.fail(f"no {PUBLISHED} boards were published within {MOST_SECONDS} s of the market")

    async with Publisher(bootstrap) as publisher:
        await published_again(publisher)
        workers.start()
        await _members(bootstrap, 2)
        await published_again(publisher)
        workers.kill(0)
        await _members(bootstrap, 1)
        await published_again(publisher)


async def _members(bootstrap: str, count: int) -> None:
    """So many workers are in the group."""

    async def are_there() -> bool:
        return await running_workers(bootstrap, "tapereader") == count

    await eventually(are_there, timeout_s=90, interval_s=0.5)


async def _settled(bootstrap: str) -> None:
    """The boards are those of the rows."""

    async def boards_are_those_of_the_rows() -> bool:
        rows = await table(bootstrap, topics.MARKET_QUOTES)
        boards = await table(bootstrap, topics.LEADERBOARDS)
        volumes = sorted(rows.values(), key=lambda row: (-row["accumulated_volume"], row["symbol"]))
        found = boards.get("top_volume", {"entries": []})["entries"]
        return len(volumes) > SYMBOLS // 2 and found == [{"rank": at, **row} for at, row in enumerate(volumes, 1)]

    await eventually(boards_are_those_of_the_rows, timeout_s=90, interval_s=1)


def _is_a_ranking(board: dict[str, Any]) -> None:
    shape = SCORES[board["board"]]
    entries = board["entries"]
    assert [entry["rank"] for entry in entries] == list(range(1, len(entries) + 1))
    assert len({entry["symbol"] for entry in entries}) == len(entries)
    assert {entry["day"] for entry in entries} <= {board["day"]}
    sign = 1 if shape.ascending else -1
    for entry in entries:
        assert entry[shape.score_field] is not None
    keys = [(sign * entry[shape.score_field], entry["symbol"]) for entry in entries]
    assert all(before < after for before, after in itertools.pairwise(keys))
