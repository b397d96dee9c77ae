"""A worker that fails in one way: `python -m tests.integration.stream.failing_app BOOTSTRAP NAME HOW`."""

import asyncio
import sys
import time
from typing import Any

import msgspec

from app.stream import DeadLetterWriter, RecordBatchSchema
from app.stream.announced import AnnouncingTable
from app.stream.application import batched_app
from app.stream.folded import FoldedTable
from app.stream.running import run_worker


class Broken:
    """State whose fold raises, half done."""

    def load(self, key: str, value: bytes) -> None:
        """Nothing."""

    def finish_loading(self) -> None:
        """Nothing."""

    def fold(self, events: list[Any]) -> None:
        """Raise."""
        raise ZeroDivisionError("half done")

    def take_changes(self) -> dict[str, bytes | None]:
        """Nothing."""
        return {}


def _raise(partition: int) -> None:
    raise LookupError(f"callback of partition {partition}")


def main() -> None:
    """Run one worker."""
    bootstrap, name, how = sys.argv[1:]
    app = batched_app(name, bootstrap, partitions=1)
    common: dict[str, Any] = {
        "name": "table",
        "changelog_topic": app.topic(f"{name}.table", schema=RecordBatchSchema()),
        "sources": [f"{name}.source"],
        "dead_letters": DeadLetterWriter(app, f"{name}.dead"),
    }
    in_place: FoldedTable[Any] | None = None
    table: AnnouncingTable[int] | None = None
    if how == "fold in place":
        in_place = FoldedTable(app, make=lambda _: Broken(), decode_events=lambda batch: batch.values, **common)
    else:
        table = AnnouncingTable(
            app, announces=f"{name}.announced", encode=msgspec.json.encode, decode=msgspec.json.Decoder(int).decode,
            on_ready=_raise if how == "callback" else None, **common,
        )  # fmt: skip

    def fold(view: Any, batch: Any) -> list[tuple[bytes, bytes]]:
        view["a"] = 1
        return [(b"a", b"x" * 32_000_000)] if how == "announcement" else []

    async def run(stream: Any) -> None:
        async for event in stream.events():
            if how == "no state" and table is not None:
                table.data.partitions.clear()
            if how == "loop":
                time.sleep(3600)
            if in_place is not None:
                await in_place.fold_events(event.value, event.message)
            elif table is not None:
                await table.fold(event.value, fold, event.message)

    if how == "stop" and table is not None:
        table.on_stop = asyncio.Event().wait  # type: ignore[method-assign,assignment]
    app.agent(app.topic(f"{name}.source", schema=RecordBatchSchema()), name=f"{name}.agent")(run)
    run_worker(app, stall_timeout_s=3.0, loglevel="info")


if __name__ == "__main__":
    main()
