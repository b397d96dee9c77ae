"""Sources are read only at the positions and with the tables of the present generation, however rebalances overlap."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from faust.transport.drivers import aiokafka as driver

from app.stream.transport import Consumer


class Rig:
    """A consumer without a connection: what Faust calls on it at a rebalance, in the order in which it does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seeking, self.sought = asyncio.Event(), asyncio.Event()
        monkeypatch.setattr(driver.Consumer, "perform_seek", lambda _: self._seek())
        monkeypatch.setattr(driver.Consumer, "resume_flow", lambda _: None)
        monkeypatch.setattr(driver.Consumer, "on_partitions_revoked", lambda *_: asyncio.sleep(0))
        monkeypatch.setattr(driver.Consumer, "assignment", lambda _: set())
        self.app = SimpleNamespace(consumer_generation_id=1)
        self.consumer: Any = Consumer.__new__(Consumer)
        self.consumer.__dict__.update(
            app=self.app, _revocations=0, _sought_generation=None, _released_generation=None, _released=asyncio.Event()
        )

    async def _seek(self) -> None:
        self.seeking.set()
        await self.sought.wait()

    async def recover(self) -> None:
        """The end of a recovery: positions are sought, then records flow."""
        await self.consumer.perform_seek()
        self.consumer.resume_flow()


async def test_sources_are_let_go_at_the_end_of_a_recovery(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(monkeypatch)
    rig.sought.set()
    assert rig.consumer.sources_held
    rig.consumer.resume_flow()  # for the changelogs
    assert rig.consumer.sources_held
    await rig.recover()
    assert not rig.consumer.sources_held


async def test_a_rebalance_holds_them_again_until_its_own_recovery_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(monkeypatch)
    rig.sought.set()
    await rig.recover()
    await rig.consumer.on_partitions_revoked(set())
    assert rig.consumer.sources_held
    rig.app.consumer_generation_id = 2
    rig.consumer.resume_flow()
    assert rig.consumer.sources_held
    await rig.recover()
    assert not rig.consumer.sources_held


@pytest.mark.parametrize("assigned", [False, True], ids=["before-the-assignment", "after-the-assignment"])
async def test_a_recovery_that_ends_in_the_next_rebalance_lets_nothing_go(
    monkeypatch: pytest.MonkeyPatch, assigned: bool
) -> None:
    """It clears Faust's `app.rebalancing` too, which is why that one is not asked."""
    rig = Rig(monkeypatch)
    late = asyncio.create_task(rig.recover())
    await rig.seeking.wait()
    await rig.consumer.on_partitions_revoked(set())
    if assigned:
        rig.app.consumer_generation_id = 2
    rig.sought.set()
    await late
    assert rig.consumer.sources_held
