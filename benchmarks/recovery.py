"""How fast a worker reads a changelog back: 1,000,000 records of 6,000 keys, four partitions.

    python -m benchmarks.recovery

Prints the seconds from the assignment of the partitions to the moment at which all rows are there.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import time
import uuid
from typing import Any

import msgspec

from app.market.events import Aggregate
from benchmarks.broker import broker, create_topics, fill
from benchmarks.record import keep


def worker(bootstrap: str, name: str, partitions: int) -> None:
    """A worker that ends when its table is recovered."""
    from mode.loop import use
    from mode.worker import Worker

    use("uvloop")
    from app.stream import BatchedTable, RecordBatchSchema
    from app.stream.application import batched_app
    from app.stream.dead_letters import DeadLetterWriter

    app = batched_app(f"{name}-group", bootstrap, partitions=partitions)
    started: list[float] = []
    ready: set[int] = set()

    def on_ready(partition: int) -> None:
        ready.add(partition)
        if len(ready) == partitions:
            print(
                "RESULT " + json.dumps({"seconds": time.perf_counter() - started[-1], "rows": len(table)}), flush=True
            )
            import os

            os._exit(0)

    table = BatchedTable[Aggregate](
        app,
        name="last",
        changelog_topic=app.topic(name, schema=RecordBatchSchema()),
        sources=[f"{name}-source"],
        encode=msgspec.json.Encoder().encode,
        decode=msgspec.json.Decoder(Aggregate).decode,
        dead_letters=DeadLetterWriter(app, f"{name}-dead"),
        on_ready=on_ready,
    )

    async def assigned(*_: Any, **__: Any) -> None:
        started.append(time.perf_counter())

    app.on_partitions_assigned.connect(assigned, weak=False)

    async def run(stream: Any) -> None:
        async for _ in stream:
            pass

    app.agent(app.topic(f"{name}-source", schema=RecordBatchSchema()), name=f"{name}-agent")(run)
    app.finalize()
    Worker(app, loglevel="warning", daemon=True).execute_from_commandline()


def main() -> None:
    """Fill a changelog, recover it, print the rate."""
    if len(sys.argv) > 1 and sys.argv[1] == "worker":
        worker(sys.argv[2], sys.argv[3], int(sys.argv[4]))
        return
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--records", type=int, default=1_000_000)
    arguments.add_argument("--partitions", type=int, default=4)
    given = arguments.parse_args()
    with broker() as bootstrap:
        name = f"recovery-{uuid.uuid4().hex[:6]}"
        asyncio.run(create_topics(bootstrap, [name, f"{name}-source", f"{name}-dead"], given.partitions))
        asyncio.run(fill(bootstrap, name, given.records, given.partitions))
        ran = subprocess.run(
            [sys.executable, "-m", "benchmarks.recovery", "worker", bootstrap, name, str(given.partitions)],
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
    line = next(line for line in (ran.stdout + ran.stderr).splitlines() if "RESULT " in line)
    found = json.loads(line.split("RESULT ")[1].split("}")[0] + "}")
    found |= {"records": given.records, "records_per_s": round(given.records / found["seconds"])}
    keep("recovery", found)
    print(
        f"{given.records:,} records in {found['seconds']:.2f} s: {found['records_per_s']:,}/s, {found['rows']:,} rows"
    )


if __name__ == "__main__":
    main()
