"""What tracing costs a worker: the engine with 1 % of record batches sampled, beside the engine without.

    python -m benchmarks.tracing

The same topic is read by both, run by run in turn, each in a process of its own. A hundredth of its
record batches carry a sampled context, as a producer with TAPEREADER_TRACE_SAMPLE_RATIO=0.01 writes
them. `instrumented` is bare aiokafka with opentelemetry-instrumentation-aiokafka switched on, beside
`aiokafka` without: why the processes here do not use it.
"""

import argparse
import asyncio
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

from aiokafka import AIOKafkaProducer

from app.observability.tracing import TRACE_HEADER
from benchmarks.broker import SYMBOLS, aggregate, broker, create_topics
from benchmarks.record import keep

RESULT = re.compile(r"RESULT (\{.*?\})")
KINDS = ("off", "sampled", "aiokafka", "instrumented")
SAMPLED = 0.01
BATCH = 200


async def fill(bootstrap: str, topic: str, records: int, partitions: int) -> int:
    """Append record batches of `BATCH` aggregates; how many of them carry a sampled context."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, compression_type="lz4", max_batch_size=1024 * 1024)
    await producer.start()
    source, marked = random.Random(1), 0
    try:
        for start in range(0, records, BATCH):
            builder = producer.create_batch()
            headers = []
            if source.random() < SAMPLED:
                marked += 1
                context = f"00-{source.getrandbits(128):032x}-{source.getrandbits(64):016x}-01"
                headers = [(TRACE_HEADER, context.encode())]
            for number in range(start, start + BATCH):
                symbol = f"S{source.randrange(SYMBOLS):04d}"
                value = aggregate(source, symbol, number)
                builder.append(timestamp=None, key=symbol.encode(), value=value, headers=headers)
                headers = []
            builder.close()
            await producer.send_batch(builder, topic, partition=start // BATCH % partitions)
        await producer.flush()
    finally:
        await producer.stop()
    return marked


def one_run(kind: str, bootstrap: str, topic: str, records: int, partitions: int, spans: Path) -> dict[str, float]:
    """One measured run. Raises `RuntimeError` with the process's words when it gives no result."""
    group = f"bench-{kind}-{uuid.uuid4().hex[:6]}"
    asyncio.run(create_topics(bootstrap, [f"{group}-changelog", f"{group}-dead"], partitions))
    environment = dict(os.environ)
    if kind == "sampled":
        environment |= {"TAPEREADER_TRACE_SAMPLE_RATIO": str(SAMPLED), "TAPEREADER_TRACE_FILE": str(spans)}
    system = "engine" if kind in ("off", "sampled") else "aiokafka"
    command = ["-m", "benchmarks.tracing", "--run", kind, system, bootstrap, topic, str(records), str(partitions)]
    ran = subprocess.run(
        [sys.executable, *command, group], capture_output=True, text=True, timeout=300, check=False, env=environment
    )
    found = RESULT.search(ran.stdout + ran.stderr)
    if found is None:
        raise RuntimeError(f"{kind} gave no result:\n{(ran.stdout + ran.stderr)[-2000:]}")
    return json.loads(found.group(1))  # type: ignore[no-any-return]


def run(kind: str, system: str, arguments: list[str]) -> None:
    """The process of one run."""
    from app.observability import tracing
    from app.settings import Settings
    from benchmarks.systems import SYSTEMS

    if kind == "instrumented":
        from opentelemetry.instrumentation.aiokafka import AIOKafkaInstrumentor
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

        provider = TracerProvider(sampler=ParentBased(TraceIdRatioBased(SAMPLED)))
        AIOKafkaInstrumentor().instrument(tracer_provider=provider)
    tracing.configure(Settings.load(), "benchmark")
    bootstrap, topic, records, partitions, group = arguments
    SYSTEMS[system](bootstrap, topic, int(records), int(partitions), group)


def main() -> None:
    """Run all kinds in turn and print the ratios."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--records", type=int, default=400_000)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--partitions", type=int, default=4)
    arguments.add_argument("--run", nargs=7, help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.run:
        run(given.run[0], given.run[1], given.run[2:])
        return
    runs: dict[str, list[dict[str, float]]] = {kind: [] for kind in KINDS}
    with broker() as bootstrap, tempfile.TemporaryDirectory() as directory:
        topic, spans = f"tracing-{uuid.uuid4().hex[:6]}", Path(directory) / "spans.jsonl"
        asyncio.run(create_topics(bootstrap, [topic], given.partitions))
        marked = asyncio.run(fill(bootstrap, topic, given.records, given.partitions))
        for number in range(given.rounds):
            for kind in KINDS if number % 2 == 0 else KINDS[::-1]:
                found = one_run(kind, bootstrap, topic, given.records, given.partitions, spans)
                runs[kind].append(found)
                print(
                    f"round {number + 1}  {kind:<13} {found['records'] / found['wall_s']:>10,.0f} records/s", flush=True
                )
    report(runs, marked)


def report(runs: dict[str, list[dict[str, float]]], marked: int) -> None:
    """Print and keep medians and ratios; by CPU time too, which a busy machine disturbs less."""

    def median(kind: str, value: str) -> float:
        return statistics.median(each["records"] / each[value] for each in runs[kind])

    ratios = {
        f"{one}/{other}": {
            "wall": round(median(one, "wall_s") / median(other, "wall_s"), 3),
            "cpu": round(median(one, "cpu_s") / median(other, "cpu_s"), 3),
        }
        for one, other in (("sampled", "off"), ("instrumented", "aiokafka"))
    }
    result = {
        "sampled_batches": marked,
        "records_per_s": {kind: round(median(kind, "wall_s")) for kind in KINDS},
        "records_per_cpu_s": {kind: round(median(kind, "cpu_s")) for kind in KINDS},
        "ratios": ratios,
    }
    keep("tracing", result)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
