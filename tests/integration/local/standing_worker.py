"""`tapereader worker` that stands still as soon as a file is there: `python standing_worker.py MODE FILE`.

`commit` waits for ever in a commit, `loop` holds the event loop up within one, `fold` waits for ever in a fold.
"""

import asyncio
import sys
import time
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer
from faust.transport.consumer import Consumer

from app.main import run_worker
from app.stream import BatchedTable


def stand_in(cls: type, name: str, file: Path, *, holding: bool) -> None:
    """Have a coroutine method stand still while the file is there."""
    original = getattr(cls, name)

    async def standing(self: Any, *arguments: Any, **options: Any) -> Any:
        while file.exists():
            if holding:
                time.sleep(0.1)
            else:
                await asyncio.sleep(0.1)
        return await original(self, *arguments, **options)

    setattr(cls, name, standing)


if __name__ == "__main__":
    mode, path = sys.argv[1], Path(sys.argv[2])
    if mode == "fold":
        stand_in(BatchedTable, "fold", path, holding=False)
    elif mode == "loop":
        # Faust's own commit is awaited in the worker's event loop, aiokafka's in that of the consumer's thread.
        stand_in(Consumer, "commit", path, holding=True)
    else:
        stand_in(AIOKafkaConsumer, "commit", path, holding=False)
    run_worker()
