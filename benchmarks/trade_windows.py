"""Trades into windows with their changelog on one worker, beside the same worker that only decodes.

    python -m benchmarks.trade_windows [--records 400000] [--rounds 3] [--symbols 6000]

Runs alternate, each in a process of its own; medians, spread and the ratio are printed and kept in
`benchmarks/results/trade_windows.json`.
"""

import argparse
import asyncio
import json
import os
import random
import re
import subprocess
import sys
import uuid
from typing import Any

import msgspec
from aiokafka import AIOKafkaProducer

from benchmarks.broker import broker, create_topics
from benchmarks.record import keep, summary
from benchmarks.systems import Clock

RESULT = re.compile(r"RESULT (\{.*?\})")
START_MS = 1_700_000_000_000
#: A busy minute of the whole market.
TRADES_PER_MS = 50


async def fill_trades(bootstrap: str, topic: str, records: int, partitions: int, symbols: int) -> None:
    """Write trades of symbols whose activity falls as 1/rank, in the order of their time."""
    from app.market.events import Trade

    chosen = random.Random(1).choices(range(symbols), [1 / (rank + 1) for rank in range(symbols)], k=records)
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap, linger_ms=20, max_batch_size=1024 * 1024, compression_type="lz4"
    )
    await producer.start()
    encode = msgspec.json.Encoder().encode
    for number, symbol in enumerate(chosen):
        trade = Trade(
            symbol=f"S{symbol:04d}", exchange=4, id=str(number), tape=3, price=10.0 + number % 100 / 100,
            size=100.0, conditions=[14, 41], timestamp=START_MS + number // TRADES_PER_MS, sequence_number=number + 1,
        )  # fmt: skip
        key = f"S{symbol:04d}".encode()
        await producer.send(topic, value=encode(trade), key=key, partition=symbol % partitions)
    await producer.stop()


def worker(bootstrap: str, topic: str, records: int, partitions: int, group: str, windows: bool) -> None:
    """One measured run in this process."""
    from mode.loop import use
    from mode.worker import Worker

    use("uvloop")
    from app.market.trade_tape import TapePartition, WindowTrade
    from app.stream import RecordBatchSchema
    from app.stream.application import batched_app
    from app.stream.dead_letters import DeadLetterWriter
    from app.stream.folded import FoldedTable

    clock, seen = Clock(), 0
    app = batched_app(group, bootstrap, partitions=partitions)
    decode = msgspec.json.Decoder(list[WindowTrade]).decode

    def make(partition: int) -> TapePartition:
        return TapePartition()

    letters = DeadLetterWriter(app, f"{group}-dead")
    table = FoldedTable[WindowTrade](
        app, name="tape", make=make, decode_events=lambda batch: batch.decoded(decode), sources=[topic],
        changelog_topic=app.topic(f"{group}-changelog", schema=RecordBatchSchema()),
        dead_letters=letters,
    )  # fmt: skip

    async def run(stream: Any) -> None:
        nonlocal seen
        async for event in stream.events():
            # From the first records on: a takeover of its partitions comes before them.
            clock.first(len(event.value) + seen)
            if windows:
                await table.fold_events(event.value, event.message)
            else:
                event.value.decoded(decode)
            seen += len(event.value)
            if seen >= records:
                await table.drain()
                if letters.written:
                    raise SystemExit(f"the figures are of refused records: {letters.written}")
                clock.report(seen)

    app.agent(app.topic(topic, schema=RecordBatchSchema()), name=f"{group}-agent")(run)
    app.finalize()
    Worker(app, loglevel="warning", daemon=True).execute_from_commandline()


def one_run(what: str, bootstrap: str, topic: str, records: int, partitions: int) -> dict[str, float]:
    """One run in a process of its own. Raises `RuntimeError` when it gives no result."""
    group = f"bench-{what}-{uuid.uuid4().hex[:6]}"
    asyncio.run(create_topics(bootstrap, [f"{group}-changelog", f"{group}-dead"], partitions))
    command = [sys.executable, "-m", "benchmarks.trade_windows", "--worker", what, bootstrap, topic, group]
    command += ["--records", str(records), "--partitions", str(partitions)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    found = RESULT.search(ran.stdout + ran.stderr)
    if found is None:
        raise RuntimeError(f"{what} gave no result:\n{(ran.stdout + ran.stderr)[-2000:]}")
    return dict(json.loads(found.group(1)))


def main() -> None:
    """Run both, in turn, and print one line each."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--records", type=int, default=400_000)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--partitions", type=int, default=4)
    arguments.add_argument("--symbols", type=int, default=6000)
    arguments.add_argument("--worker", nargs=4, help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.worker:
        what, bootstrap, topic, group = given.worker
        worker(bootstrap, topic, given.records, given.partitions, group, what == "windows")
        return
    runs: dict[str, list[dict[str, float]]] = {"windows": [], "stateless": []}
    with broker() as bootstrap:
        topic = f"bench-{uuid.uuid4().hex[:8]}"
        asyncio.run(create_topics(bootstrap, [topic], given.partitions))
        asyncio.run(fill_trades(bootstrap, topic, given.records, given.partitions, given.symbols))
        for number in range(given.rounds):
            for what, found in runs.items():
                run = one_run(what, bootstrap, topic, given.records, given.partitions)
                found.append(run)
                rate = run["records"] / run["wall_s"]
                print(f"round {number + 1}/{given.rounds}  {what:<10} {rate:>10,.0f} trades/s", flush=True)
    results: dict[str, Any] = {what: summary(found) for what, found in runs.items()}
    medians = {what: result["records_per_s"]["median"] for what, result in results.items()}
    results |= {"ratio": round(medians["windows"] / medians["stateless"], 3)}
    results["symbols"] = given.symbols
    keep("trade_windows", results)
    print(f"\n{'system':<10} {'trades/s':>10} {'CPU s':>7} {'MB':>6}")
    for what, rate in medians.items():
        print(f"{what:<10} {rate:>10,} {results[what]['cpu_s']:>7.2f} {results[what]['peak_memory_mb']:>6.0f}")
    print(f"{'ratio':<10} {results['ratio']:>10}   (one worker on {os.cpu_count()} cores, which the broker shares)")


if __name__ == "__main__":
    main()
