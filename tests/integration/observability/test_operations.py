"""A real run seen from outside: metrics, readiness, logs and traces of every process."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from prometheus_client.parser import text_string_to_metric_families
from websockets.asyncio.client import connect

from app.kafka import topics
from app.kafka.admin import ensure_topics
from app.observability import metrics
from app.observability.operations import CONTROL_HEADER
from tests.eventually import eventually
from tests.integration.agents.workers import own_broker
from tests.integration.local.platform_run import API_KEY, Platform, platform_run

pytestmark = [pytest.mark.verify, pytest.mark.timeout(240), pytest.mark.asyncio(loop_scope="module")]

#: Absent until there is something to say.
OPTIONAL = (
    metrics.SILENCE,
    metrics.MARKET_OPEN,
    metrics.NEWEST_AGE,
    metrics.DISCONNECTS,
    metrics.FEED_LAG,
    metrics.LATE,
    metrics.LATE_BARS,
    metrics.REFUSED,
)
#: What a change of a process asks for, so that no web page can make it.
CHANGES = {CONTROL_HEADER: "1"}
NAMES = ("simulator", "producer", "worker-1", "worker-2", "gateway")
#: Attributes of the process's own series, that no declaration names.
Series = dict[str, list[tuple[dict[str, str], float]]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory, redis_url: str) -> AsyncIterator[Platform]:
    """Simulator, producer, two workers and a gateway, every round of events traced."""
    directory = tmp_path_factory.mktemp("operations")
    with own_broker(directory / "kafka") as bootstrap:
        await ensure_topics(bootstrap, topics.ALL_TOPICS, 4)
        tracing = {"trace_sample_ratio": "1", "trace_file": str(directory / "spans.jsonl")}
        with platform_run(bootstrap, redis_url, directory, **tracing) as platform:
            platform.start("simulator", "simulate")
            platform.start("gateway", "gateway")
            for name in ("worker-1", "worker-2"):
                platform.start(name, "worker")
            for name in ("simulator", "worker-1", "worker-2"):
                await platform.ready(name)
            platform.start("producer", "produce")
            for name in ("producer", "gateway"):
                await platform.ready(name)
            yield platform


async def series(platform: Platform, name: str) -> Series:
    """What a process says at `/metrics`, by series."""
    answer = await platform.get(name, "/metrics")
    assert answer.status_code == 200
    found: Series = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


def total(found: Series, metric: metrics.Metric, **labels: str) -> float:
    """The sum of a metric's series with these labels; of a histogram the number of values."""
    name = f"{metric.prometheus_name}_count" if metric.kind is metrics.Kind.HISTOGRAM else metric.prometheus_name
    return sum(value for own, value in found.get(name, []) if labels.items() <= own.items())


async def test_every_process_shows_only_declared_metrics_and_those_of_its_part(running: Platform) -> None:
    async def flowing() -> bool:
        producer, gateway = await series(running, "producer"), await series(running, "gateway")
        # What it says of the feed is sent before the first event.
        return total(producer, metrics.EVENTS_RECEIVED) > 0 and total(gateway, metrics.CONSUMED) > 0

    await eventually(flowing, timeout_s=60)
    declared = {each: metric for metric in metrics.ALL for each in metric.series} | {"target_info": None}
    parts = {"producer": metrics.Part.PRODUCER, "worker-1": metrics.Part.WORKER, "gateway": metrics.Part.GATEWAY}
    for name in NAMES:
        found = await series(running, name)
        assert set(found) <= set(declared), name
        assert total(found, metrics.READY) == 1
        assert total(found, metrics.PROCESS_MEMORY) > 10_000_000
        for metric in metrics.ALL:
            if parts.get(name) in metric.parts and metric.kind is not metrics.Kind.HISTOGRAM:
                optional = metric in OPTIONAL
                assert optional or metric.prometheus_name in found, f"{name} has no {metric.name}"


async def test_what_the_producer_sent_is_what_the_workers_read_and_the_gateway_shows(running: Platform) -> None:
    async def flowing() -> bool:
        producer, gateway = await series(running, "producer"), await series(running, "gateway")
        workers = [await series(running, name) for name in ("worker-1", "worker-2")]
        topic = {"messaging_destination_name": topics.AGGREGATES.name}
        sent = total(producer, metrics.SENT, **topic)
        read = sum(total(found, metrics.CONSUMED, **topic) for found in workers)
        folds = sum(total(found, metrics.FOLD_DURATION, tapereader_table="quotes") for found in workers)
        latencies = sum(total(found, metrics.END_TO_END, tapereader_table="quotes") for found in workers)
        return (
            sent > 300
            # The workers are asked after the producer: what they have read since may be more.
            and read >= 0.5 * sent
            and total(producer, metrics.EVENTS_RECEIVED, tapereader_event_type="A") >= sent
            and 0 < latencies <= folds
            and sum(total(found, metrics.TABLE_PARTITIONS, tapereader_table="quotes") for found in workers) == 4
            and total(gateway, metrics.TABLE_ROWS, tapereader_table=topics.MARKET_QUOTES.name) > 20
            and total(gateway, metrics.DELIVERY_LATENCY) > 0
        )

    await eventually(flowing, timeout_s=60)


async def test_a_client_is_counted_while_it_is_there_and_by_its_code_when_it_has_left(running: Platform) -> None:
    before = await series(running, "gateway")
    async with connect(running.urls["gateway"].replace("http", "ws") + "/ws") as socket:
        await socket.send(json.dumps({"action": "subscribe", "feed": "scanners:top_volume"}))
        while "scanners" not in str(await socket.recv()):
            pass
        during = await series(running, "gateway")
        assert total(during, metrics.CLIENTS) == total(before, metrics.CLIENTS) + 1
        assert total(during, metrics.SUBSCRIPTIONS) == total(before, metrics.SUBSCRIPTIONS) + 1
    closed = {"websocket_close_code": "1000"}
    wanted = total(before, metrics.DISCONNECTS, **closed) + 1

    async def counted() -> bool:
        return total(await series(running, "gateway"), metrics.DISCONNECTS, **closed) == wanted

    await eventually(counted)
    assert total(await series(running, "gateway"), metrics.CLIENTS) == total(before, metrics.CLIENTS)


async def test_a_worker_says_what_it_owns_and_why_it_is_not_ready(running: Platform) -> None:
    owned = [(await running.get(name, "/healthz")).json()["partitions"]["quotes"] for name in ("worker-1", "worker-2")]
    assert sorted(owned[0] + owned[1]) == [0, 1, 2, 3]
    # One that cannot reach Kafka speaks all the same, and says that it is not ready.
    running.start("worker-lost", "worker", kafka_bootstrap_servers="127.0.0.1:1")
    lost = running.processes["worker-lost"]
    try:
        await eventually(lambda: "worker_listening" in running.log("worker-lost"), timeout_s=60)
    finally:
        lost.kill()
        lost.wait(10)
        del running.processes["worker-lost"]


async def test_the_level_of_the_logs_is_changed_at_run_time(running: Platform) -> None:
    async with httpx.AsyncClient(timeout=5.0, trust_env=False, headers=CHANGES) as client:
        for name in NAMES:
            url = f"{running.urls[name]}/control/log-level"
            assert (await client.get(url)).json() == {"level": "INFO"}
            assert (await client.put(url, content=b'{"level":"LOUD"}')).status_code == 400
            assert (await client.put(url, content=b'{"level":"DEBUG"}')).json() == {"level": "DEBUG"}
            assert (await client.put(url, content=b'{"level":"INFO"}')).json() == {"level": "INFO"}


async def test_no_log_shows_the_key_and_every_line_is_json(running: Platform) -> None:
    async with httpx.AsyncClient(timeout=5.0, trust_env=False, headers=CHANGES) as client:
        for name in NAMES:
            await client.put(f"{running.urls[name]}/control/log-level", content=b'{"level":"DEBUG"}')
        # A new connection logs in again, now that everything is logged.
        before = running.log("producer").count("feed_connected")
        await client.post(f"{running.urls['producer']}/restart")
        await eventually(lambda: running.log("producer").count("feed_connected") > before)
        for name in NAMES:
            await client.put(f"{running.urls[name]}/control/log-level", content=b'{"level":"INFO"}')
    for name in NAMES:
        text = running.log(name)
        assert text, f"{name} has logged nothing"
        assert API_KEY not in text, f"{name} has logged the key"
        for line in text.splitlines():
            assert "event" in json.loads(line), f"{name}: {line[:200]}"


def spans_of(path: Path) -> list[dict[str, Any]]:
    """The spans in the file so far; a line that is being written is left out."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("}")]


async def test_one_trace_goes_through_four_processes(running: Platform) -> None:
    """Producer, the worker that folds, the worker that merges, gateway: each span below one of another process."""
    path = Path(running.environment["TAPEREADER_TRACE_FILE"])

    def whole_trace() -> list[dict[str, Any]] | None:
        traces: dict[str, list[dict[str, Any]]] = {}
        for span in spans_of(path):
            traces.setdefault(span["context"]["trace_id"], []).append(span)
        for spans in traces.values():
            services = {
                (attributes["service.instance.id"], attributes["service.name"])
                for attributes in (span["resource"]["attributes"] for span in spans)
            }
            ids = {span["context"]["span_id"] for span in spans}
            # Spans are written by their own processes: a parent may come later than its child.
            whole = all(span["parent_id"] is None or span["parent_id"] in ids for span in spans)
            merged = {"fold quotes", "write leaderboards", "deliver"} <= {span["name"] for span in spans}
            if whole and merged and sorted(name for _, name in services) == ["gateway", "producer", "worker", "worker"]:
                return spans
        return None

    spans = await eventually(whole_trace, timeout_s=60)
    assert spans is not None
    assert [span["name"] for span in spans if span["parent_id"] is None] == ["receive and publish"]
    assert all(span["links"] for span in spans if span["name"].startswith("fold"))
