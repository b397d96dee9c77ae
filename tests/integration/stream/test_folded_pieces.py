"""Rows of a fold in place that fit no record batch end the worker, and the next one gets through in smaller pieces."""

from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from faust.types import TP

from app.stream import RecordBatch, RecordBatchSchema, failing
from app.stream.errors import OversizedError
from app.stream.folded import FoldedTable
from app.stream.partition import MAX_FLUSH_BYTES
from tests.eventually import eventually
from tests.integration.stream.owners import Owner, batch_of, owners, read_log

#: Records of small rows, then of large ones: 20 of a megabyte are more than a record batch takes.
SMALL, LARGE, LARGE_BYTES = 16, 20, 1024 * 1024

#: Records that were counted before, in pieces of 1 and 4: the next one is of 16, and the one after that of 64 at most.
BEFORE = 5


class Rows:
    """A row for each record, under its offset; state that cannot be taken back."""

    def __init__(self, _: int) -> None:
        self.sizes: dict[str, int] = {}
        self._changed: dict[str, bytes | None] = {}

    def load(self, key: str, value: bytes) -> None:
        """Take a row."""
        self.sizes[key] = len(value)

    def finish_loading(self) -> None:
        """Nothing."""

    def fold(self, events: list[tuple[str, int]]) -> None:
        """Make a row of each."""
        for key, size in events:
            assert key not in self.sizes, "folded once"
            self.sizes[key] = size
            self._changed[key] = b"x" * size

    def take_changes(self) -> dict[str, bytes | None]:
        """The rows that were made."""
        changed, self._changed = self._changed, {}
        return changed


def events_of(batch: RecordBatch) -> list[tuple[str, int]]:
    """The last records make the large rows."""
    return [(str(at), LARGE_BYTES if at >= BEFORE + SMALL else 1) for at in batch.offsets]


async def folded_table(owner: Owner, make_topic: bool) -> FoldedTable[Any]:
    """A table of the owner's app that is folded in place, in place of its own."""
    name = f"{owner.app.conf.id}.folded"
    if make_topic:
        admin = AIOKafkaAdminClient(bootstrap_servers=owner.bootstrap)
        await admin.start()
        await admin.create_topics([NewTopic(name, 1, 1, topic_configs={"max.message.bytes": "16777216"})])
        await admin.close()
    table = FoldedTable[Any](
        owner.app, name="folded", changelog_topic=owner.app.topic(name, schema=RecordBatchSchema()),
        sources=[owner.source], make=Rows, decode_events=events_of, dead_letters=owner.table.dead_letters,
    )  # fmt: skip
    owner.changelogs[TP(name, 0)] = table
    return table


async def test_rows_that_leap_beyond_a_record_batch_are_written_by_the_next_start(
    broker_url: str, unique: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was whole before them is written first, so that it does not end at the same record for ever."""
    monkeypatch.setattr(failing, "end_soon", lambda: None)
    assert LARGE * LARGE_BYTES > MAX_FLUSH_BYTES
    end = BEFORE + SMALL + LARGE
    async with owners(broker_url, f"pieces-{unique}", 2) as (first, second):
        table = await folded_table(first, make_topic=True)
        await first.take()
        await table.fold_events(batch_of(first.source, 0, BEFORE))
        with pytest.raises(OversizedError, match="that 20 records changed do not fit a record batch"):
            await table.fold_events(batch_of(first.source, BEFORE, end))
        await eventually(lambda: [type(error) for error in first.crashed] == [OversizedError], timeout_s=20)

        again = await folded_table(second, make_topic=False)
        await second.take()
        covered = again.covered(second.source, 0)
        assert covered == BEFORE + SMALL, "what was whole is written"
        await again.fold_events(batch_of(second.source, covered, end))
        await again.drain()

        assert not second.crashed
        log = await read_log(broker_url, f"{first.app.conf.id}.folded")
        rows = {record.key.decode(): len(record.value) for record in log if record.value is not None}
        assert rows == again.folded[0].sizes == dict(events_of(batch_of(first.source, 0, end)))
        assert again.covered(second.source, 0) == end
