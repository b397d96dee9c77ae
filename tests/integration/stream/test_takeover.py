"""A rebalance holds up only what it moves, and a standby has little left to read."""

import asyncio
import re
import signal
from pathlib import Path
from typing import Any

import pytest
from faust.types import TP

from app.stream import failing
from tests.consistency.harness import PARTITIONS, Tape, Workers
from tests.eventually import eventually
from tests.integration.stream.owners import Count, Owner, owners

ROWS = 20_000


@pytest.fixture(autouse=True)
def _process_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that fails here is part of the tests' own process."""
    monkeypatch.setattr(failing, "end_soon", lambda: None)


class Recoveries:
    """Notes how many records a table read for each takeover; all else goes to the observer that it had."""

    def __init__(self, observer: Any) -> None:
        self._observer = observer
        self.records: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._observer, name)

    def recovered(self, partition: int, records: int) -> None:
        self.records.append(records)


class Gate:
    """Holds the reading of one changelog partition back until it is opened."""

    def __init__(self, owner: Owner, partition: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.opened = asyncio.Event()
        self._partition, self._reached = partition, owner.app.tables.takeover.following.reached
        monkeypatch.setattr(owner.app.tables.takeover.following, "reached", self._wait)

    async def _wait(self, tp: TP, offset: int) -> Any:
        if tp.partition == self._partition:
            await self.opened.wait()
        return await self._reached(tp, offset)


async def written(owner: Owner, partition: int, rows: int = ROWS) -> None:
    """Have a worker take a partition and write so many rows."""
    await owner.take(partition)
    for first in range(0, rows, 1000):
        await owner.table.write(partition, {f"k{number}": Count(1) for number in range(first, first + 1000)})
    await owner.table.drain()


async def test_kept_partitions_go_on_while_a_gained_one_is_read_back(
    broker_url: str, unique: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They once waited for its changelog, however long that was."""
    async with owners(broker_url, f"go-on-{unique}", 2, partitions=2) as (other, owner):
        await written(other, 1)
        await owner.take(0)
        await owner.fold(0, 100)
        await owner.table.drain()
        state, gate = owner.table.owned[0], Gate(owner, 1, monkeypatch)
        takeover = owner.app.tables.takeover
        takeover.assign({TP(owner.changelog, partition): owner.table for partition in (0, 1)}, ())
        await takeover.keep()
        takeover.begin()
        assert takeover.pending == {1}
        await owner.fold(100, 200)
        await owner.table.drain()
        assert owner.table.owned == {0: state}
        assert state.covered[owner.source] == 200
        gate.opened.set()

        async def taken() -> bool:
            return not takeover.pending

        await eventually(taken, timeout_s=30)
        assert len(owner.table.owned[1].rows) == ROWS
        assert not owner.crashed


async def test_a_standby_reads_only_what_came_last(broker_url: str, unique: str) -> None:
    """Everything before it has read while the partition was another worker's."""
    async with owners(broker_url, f"standby-{unique}", 2) as (owner, standby):
        tp, takeover = TP(owner.changelog, 0), standby.app.tables.takeover
        takeover.assign({}, {tp})
        await takeover.keep()
        takeover.begin()
        await written(owner, 0)
        end = owner.table.owned[0].next_changelog_offset or 0

        async def followed() -> bool:
            return (takeover.following.found(tp).next_offset or 0) >= end

        await eventually(followed, timeout_s=30)
        assert not standby.table.owned, "it ranks and answers nothing of what it only follows"
        await owner.fold(0, 3)
        await owner.table.drain()
        standby.table.observer = found = Recoveries(standby.table.observer)
        await standby.take()

        assert found.records[0] <= 4, "three rows and the claim"
        assert len(standby.table.owned[0].rows) == ROWS + 3
        assert standby.table.covered(owner.source, 0) == 3
        assert not standby.crashed


async def test_a_takeover_that_a_rebalance_interrupts_goes_on_where_it_was(
    broker_url: str, unique: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read stays; only the claim is made again."""
    async with owners(broker_url, f"again-{unique}", 2) as (other, owner):
        await written(other, 0)
        tp, takeover, gate = TP(owner.changelog, 0), owner.app.tables.takeover, Gate(owner, 0, monkeypatch)
        takeover.assign({tp: owner.table}, ())
        await takeover.keep()
        takeover.begin()

        async def read() -> bool:
            return bool(takeover.following.found(tp).records > ROWS)

        await eventually(read, timeout_s=30)
        takeover.assign({tp: owner.table}, ())  # ends the one that waits at the gate
        gate.opened.set()
        owner.table.observer = found = Recoveries(owner.table.observer)
        assert not await owner.take()

        assert found.records[0] <= 2, "the claims of both"
        assert owner.counted == ROWS


def takeovers(logs: Path) -> list[list[int]]:
    """By worker, how many records it read for each partition that it took over."""
    texts = [re.sub(r"\x1b\[[0-9;]*m", "", path.read_text()) for path in sorted(logs.iterdir())]
    return [[int(found) for found in re.findall(r"partition_taken_over.*?read=(\d+)", text)] for text in texts]


@pytest.mark.verify
async def test_the_group_gives_the_partitions_of_a_killed_worker_to_its_standby(
    broker_url: str, unique: str, tmp_path: Path
) -> None:
    """And nothing is lost or counted twice."""
    tape = Tape(broker_url, f"standbys-{unique}", seed=3)
    await tape.create_topics()
    workers = Workers(broker_url, tape.name, tmp_path, standbys=1)

    async def is_expected() -> bool:
        return await tape.table() == tape.expected

    async def shared() -> bool:
        found = takeovers(tmp_path)
        return len(found) == 2 and all(found) and await is_expected()

    try:
        workers.start()
        await tape.produce(20_000)
        await eventually(is_expected, timeout_s=60)
        workers.start()
        await eventually(shared, timeout_s=60)
        await tape.produce(2_000)
        await eventually(is_expected, timeout_s=60)
        before = [len(found) for found in takeovers(tmp_path)]
        await asyncio.to_thread(workers.end, 0, signal.SIGKILL)
        await tape.produce(2_000)

        async def has_all() -> bool:
            return len(takeovers(tmp_path)[1]) - before[1] == PARTITIONS // 2 and await is_expected()

        await eventually(has_all, timeout_s=60)
        assert max(takeovers(tmp_path)[1][before[1] :]) < 20, "claims and what came last"
    finally:
        workers.stop()
