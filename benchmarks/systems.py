"""One measured run of one system, in a process of its own.

    python -m benchmarks.systems SYSTEM BOOTSTRAP TOPIC RECORDS PARTITIONS GROUP

The work is the same for all: decode an aggregate from JSON, keep the last state of its symbol in a
table with a changelog in Kafka. `aiokafka` and `engine-stateless` only decode: the ceiling and
what of it is left. Prints one JSON line: seconds from the first delivery, whose records do not count,
to the last record's acknowledged state, CPU seconds of the same stretch, peak memory.
"""

import json
import os
import resource
import sys
import time
from typing import Any

import msgspec

from app.market.events import Aggregate


class Clock:
    """Wall and CPU time from the first record on."""

    def __init__(self) -> None:
        self.started: tuple[float, float] | None = None
        self.before = 0

    def first(self, delivered: int = 1) -> None:
        """Note the first delivery: what it holds was read before the clock ran and does not count."""
        if self.started is None:
            self.started = time.perf_counter(), time.process_time()
            self.before = delivered

    def report(self, records: int) -> None:
        """Print the run's figures and end the process."""
        assert self.started is not None
        wall, cpu = time.perf_counter() - self.started[0], time.process_time() - self.started[1]
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        result = {"records": records - self.before, "wall_s": wall, "cpu_s": cpu, "peak_memory_mb": peak_mb}
        print("RESULT " + json.dumps(result), flush=True)
        os._exit(0)


def _run_faust(app: Any) -> None:
    from mode.worker import Worker

    app.finalize()
    Worker(app, loglevel="warning", daemon=True).execute_from_commandline()


def engine(bootstrap: str, topic: str, records: int, partitions: int, group: str, stateless: bool = False) -> None:
    """The engine: batches in, folded, one record per touched symbol out."""
    from mode.loop import use

    use("uvloop")
    from app.stream import BatchedTable, PartitionView, RecordBatch, RecordBatchSchema
    from app.stream.application import batched_app
    from app.stream.dead_letters import DeadLetterWriter

    clock = Clock()
    # Of the app, where a benchmark needs other settings than the engine's own.
    options = json.loads(os.environ.get("BENCH_OPTIONS", "{}"))
    app = batched_app(group, bootstrap, partitions=partitions, **options)
    table = BatchedTable[Aggregate](
        app,
        name="last",
        changelog_topic=app.topic(f"{group}-changelog", schema=RecordBatchSchema()),
        sources=[topic],
        encode=msgspec.json.Encoder().encode,
        decode=msgspec.json.Decoder(Aggregate).decode,
        dead_letters=DeadLetterWriter(app, f"{group}-dead"),
    )
    decode = msgspec.json.Decoder(list[Aggregate]).decode
    seen = 0

    def fold(view: PartitionView[Aggregate], batch: RecordBatch) -> None:
        for event in decode(b"[" + b",".join(batch.values) + b"]"):  # type: ignore[arg-type]
            view.changes[event.symbol] = event  # type: ignore[index]

    async def run(stream: Any) -> None:
        nonlocal seen
        async for event in stream.events():
            batch = event.value
            clock.first(len(batch))
            if stateless:
                decode(b"[" + b",".join(batch.values) + b"]")
            else:
                await table.fold(batch, fold, event.message)
            seen += len(batch)
            if seen >= records:
                await table.drain()
                clock.report(seen)

    app.agent(app.topic(topic, schema=RecordBatchSchema()), name=f"{group}-agent")(run)
    _run_faust(app)


def engine_stateless(bootstrap: str, topic: str, records: int, partitions: int, group: str) -> None:
    """The engine, only decoding."""
    engine(bootstrap, topic, records, partitions, group, stateless=True)


def faust(bootstrap: str, topic: str, records: int, partitions: int, group: str) -> None:
    """Faust as its guide writes it: `async for`, `table[key] = value`."""
    from mode.loop import use

    use("uvloop")
    import faust

    app = faust.App(
        group, broker=f"kafka://{bootstrap}", store="memory://", topic_partitions=partitions, web_enabled=False,
        table_standby_replicas=0, topic_disable_leader=True, topic_allow_declare=False, producer_linger=0.02,
        producer_compression_type="lz4", producer_max_batch_size=131072, broker_max_poll_records=500,
        stream_wait_empty=False, consumer_auto_offset_reset="earliest",
    )  # fmt: skip
    table = app.Table(f"{group}-last", partitions=partitions, changelog_topic=app.topic(f"{group}-changelog"))
    clock, seen = Clock(), 0

    async def run(stream: Any) -> None:
        nonlocal seen
        async for value in stream:
            clock.first()
            table[value["sym"]] = value
            seen += 1
            if seen >= records:
                await app.producer.flush()
                clock.report(seen)

    app.agent(app.topic(topic, value_serializer="json", key_serializer="raw"), name=f"{group}-agent")(run)
    _run_faust(app)


def quixstreams(bootstrap: str, topic: str, records: int, partitions: int, group: str) -> None:
    """Quix Streams with state, as its guide writes it."""
    import tempfile

    from quixstreams import Application, State

    clock = Clock()
    with tempfile.TemporaryDirectory() as state_dir:
        app = Application(
            broker_address=bootstrap, consumer_group=group, auto_offset_reset="earliest", state_dir=state_dir,
            loglevel="WARNING",
        )  # fmt: skip
        frame = app.dataframe(app.topic(topic, value_deserializer="json", key_deserializer="bytes"))

        def keep(value: dict[str, Any], state: State) -> dict[str, Any]:
            clock.first()
            state.set("last", value)
            return value

        frame.apply(keep, stateful=True)
        app.run(count=records)
        clock.report(records)


def aiokafka(bootstrap: str, topic: str, records: int, partitions: int, group: str) -> None:
    """Bare aiokafka and msgspec, no state: the ceiling, with garbage collections as rare as the engine's."""
    import uvloop
    from aiokafka import AIOKafkaConsumer

    from app.stream.application import collect_rarely

    async def run() -> None:
        consumer = AIOKafkaConsumer(
            topic, bootstrap_servers=bootstrap, group_id=group, auto_offset_reset="earliest",
            max_partition_fetch_bytes=1024 * 1024,
        )  # fmt: skip
        await consumer.start()
        collect_rarely()
        decode, clock, seen = msgspec.json.Decoder(Aggregate).decode, Clock(), 0
        while seen < records:
            found = (await consumer.getmany(timeout_ms=1000)).values()
            if found:
                clock.first(sum(map(len, found)))
            for batch in found:
                for record in batch:
                    decode(record.value)
                seen += len(batch)
        clock.report(seen)

    uvloop.run(run())


SYSTEMS = {
    "engine": engine,
    "faust": faust,
    "quixstreams": quixstreams,
    "aiokafka": aiokafka,
    "engine-stateless": engine_stateless,
}

if __name__ == "__main__":
    name, servers, source, count, parts, consumer_group = sys.argv[1:7]
    SYSTEMS[name](servers, source, int(count), int(parts), consumer_group)
