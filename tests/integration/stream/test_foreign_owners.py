"""Two apps that were given the same tables: the second ends with a sentence, the first notices nothing."""

import pytest

from app.stream import failing
from app.stream.errors import ForeignOwnerError
from tests.integration.stream.owners import Owner, owners, read_log, started


@pytest.fixture(autouse=True)
def _process_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that fails here is part of the tests' own process."""
    monkeypatch.setattr(failing, "end_soon", lambda: None)


async def test_a_worker_that_finds_another_apps_claim_ends_and_touches_nothing(broker_url: str, unique: str) -> None:
    """Once each claim ended the other app's workers, for ever."""
    name = f"theirs-{unique}"
    async with owners(broker_url, name, 1) as (first,), started(Owner(broker_url, name, f"other-{unique}")) as other:
        await first.take()
        await first.fold(0, 100)
        await first.table.drain()
        before = await read_log(broker_url, first.changelog)
        await other.take()
        (error,) = other.crashed
        assert isinstance(error, ForeignOwnerError)
        assert f"{name}.table[0] is a table of the app '{name}' and this worker is one of 'other-" in str(error)
        assert await read_log(broker_url, first.changelog) == before
        assert not other.table.owned

        await first.fold(100, 200)
        await first.table.drain()
        assert first.counted == 200
        assert not first.crashed


async def test_rows_tell_whose_they_are_when_compaction_has_forgotten_the_claims(broker_url: str, unique: str) -> None:
    """Claims are tombstones; each flush names its owner, too."""
    name = f"rows-{unique}"
    async with owners(broker_url, name, 1) as (first,), started(Owner(broker_url, name, f"other-{unique}")) as other:
        await first.take()
        await first.fold(0, 10)
        await first.table.drain()
        (row, *_) = [record for record in await read_log(broker_url, first.changelog) if record.value is not None][::-1]
        assert b'"owner":"%s"' % name.encode() in dict(row.headers)["covers"]
        assert b'"epoch":' in dict(row.headers)["covers"]
        await other.take()
        assert other.crashed


async def test_an_app_that_was_told_to_takes_anothers_tables_over(broker_url: str, unique: str) -> None:
    """As a platform that gets another app id; from then on the first one's workers are refused."""
    name = f"heir-{unique}"
    async with owners(broker_url, name, 2) as (first, late), started(Owner(broker_url, name, f"to-{unique}")) as heir:
        await first.take()
        await first.fold(0, 100)
        await first.table.drain()
        heir.app.predecessors = frozenset({name})
        await heir.take()
        await heir.fold(100, 150)
        await heir.table.drain()
        assert heir.counted == 150
        assert not heir.crashed

        await late.take()
        assert isinstance(late.crashed[0], ForeignOwnerError)
