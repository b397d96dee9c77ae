"""Everything reaches a broker behind TLS and SASL, and says plainly when it may not."""

import asyncio
import gc
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import BasicAuth, web
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaConnectionError

from app.errors import SettingsError
from app.kafka.access import EndpointTokens, KafkaAccess
from app.kafka.admin import admin_client, check_topics
from app.kafka.declared import ensure_declared
from app.kafka.topics import TopicSpec
from app.observability.operations import served
from app.settings import Settings
from producers.publisher import Publisher
from producers.routing import Routed
from tests.integration.local.platform_run import ROOT, platform_run
from tests.secure_kafka import PASSWORD, SecureKafka, secure_kafka, unsigned_token

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureKafka]:
    """A broker behind TLS and SASL."""
    with secure_kafka(tmp_path_factory.mktemp("secure")) as broker:
        yield broker


@pytest.fixture
async def token_endpoint() -> AsyncIterator[tuple[str, list[str]]]:
    """An OAuth token endpoint for one client; its URL and who was given a token."""
    given: list[str] = []

    async def token(request: web.Request) -> web.Response:
        form = await request.post()
        # RFC 6749, section 2.3.1: the client logs in by HTTP Basic.
        who = BasicAuth.decode(request.headers.get("Authorization", ""))
        if (who.login, who.password, form.get("grant_type")) != ("scanner", "s3cret", "client_credentials"):
            return web.json_response({"error": "invalid_client"}, status=401)
        given.append(str(form.get("scope")))
        return web.json_response({"access_token": unsigned_token("scanner"), "token_type": "Bearer", "expires_in": 300})

    app = web.Application()
    app.add_routes([web.post("/token", token)])
    async with served(app, "127.0.0.1", 0, "none") as port:
        yield f"http://127.0.0.1:{port}/token", given


async def round_trip(settings: Settings, spec: TopicSpec) -> list[bytes]:
    """Make a topic, write an event by the producer, read it back."""
    access = KafkaAccess.of(settings)
    await ensure_declared(settings, [spec])
    await check_topics(access, [spec], settings.partitions)
    async with Publisher(access, settings.kafka_acks) as publisher:
        await publisher.publish([(Routed(spec.name, b"AAPL", b'{"ev":"A"}', "A"), 1)])
    consumer = AIOKafkaConsumer(
        spec.name, **access.options("test"), auto_offset_reset="earliest", enable_auto_commit=False
    )
    await consumer.start()
    try:
        async with asyncio.timeout(20):
            return [(await consumer.getone()).value]
    finally:
        await consumer.stop()


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "TLS"])
@pytest.mark.parametrize("acks", ["all", "1"])
async def test_producer_admin_and_consumer_log_in(secure: SecureKafka, unique: str, mechanism: str, acks: str) -> None:
    settings = Settings.load(**secure.settings(mechanism, kafka_acks=acks))
    assert await round_trip(settings, TopicSpec(f"secure-{unique}", "symbol", "of a test")) == [b'{"ev":"A"}']


async def test_a_token_from_a_file_logs_in(secure: SecureKafka, unique: str, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(unsigned_token("scanner") + "\n")
    settings = Settings.load(**secure.settings("OAUTHBEARER", kafka_oauth_token_file=path))
    assert await round_trip(settings, TopicSpec(f"secure-{unique}", "symbol", "of a test")) == [b'{"ev":"A"}']


async def test_a_token_of_an_endpoint_is_asked_for_once_and_logs_in(
    secure: SecureKafka, unique: str, token_endpoint: tuple[str, list[str]]
) -> None:
    url, given = token_endpoint
    oauth = {"kafka_oauth_token_url": url, "kafka_oauth_client_id": "scanner", "kafka_oauth_client_secret": "s3cret"}
    settings = Settings.load(**secure.settings("OAUTHBEARER", kafka_oauth_scope="kafka", **oauth))
    assert await round_trip(settings, TopicSpec(f"secure-{unique}", "symbol", "of a test")) == [b'{"ev":"A"}']
    # Each `KafkaAccess` keeps its token: one for the admin's, one for the rest.
    assert given == ["kafka"] * 2
    tokens = EndpointTokens(url, "scanner", "s3cret", None)
    assert await tokens.token() == await tokens.token()


#: aiokafka leaves the socket of a refused connection to the garbage collector.
leaves_a_socket = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@leaves_a_socket
async def test_a_wrong_password_is_refused(secure: SecureKafka, unique: str) -> None:
    settings = Settings.load(**secure.settings("SCRAM-SHA-512") | {"kafka_password": "wrong"})
    with pytest.raises(KafkaConnectionError):
        await ensure_declared(settings, [TopicSpec(f"secure-{unique}", "symbol", "of a test")])
    gc.collect()


@leaves_a_socket
async def test_a_broker_of_another_authority_is_not_trusted(secure: SecureKafka, unique: str) -> None:
    settings = Settings.load(**secure.settings("PLAIN") | {"kafka_tls_ca_file": secure.certificates.client})
    with pytest.raises(KafkaConnectionError):
        await ensure_declared(settings, [TopicSpec(f"secure-{unique}", "symbol", "of a test")])
    gc.collect()


async def test_min_insync_replicas_are_those_of_the_settings(secure: SecureKafka, unique: str) -> None:
    from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

    spec = TopicSpec(f"secure-{unique}", "symbol", "of a test")
    settings = Settings.load(kafka_bootstrap_servers=secure.plain, min_insync_replicas=1)
    await ensure_declared(settings, [spec])
    async with admin_client(KafkaAccess.of(settings)) as admin:
        (answer,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, spec.name)])
    entries = {entry[0]: entry[1] for *_, found in answer.resources for entry in found}
    assert entries["min.insync.replicas"] == "1"
    with pytest.raises(SettingsError, match="expected at most the replicas"):
        await ensure_declared(Settings.load(min_insync_replicas=2), [spec])


@pytest.mark.verify
@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-512", "OAUTHBEARER"])
async def test_the_whole_platform_runs_on_it(
    secure: SecureKafka, redis_url: str, tmp_path: Path, mechanism: str, token_endpoint: tuple[str, list[str]]
) -> None:
    """Command line, worker, producer, gateway, record and dead letters, each a process with these settings."""
    given: dict[str, Any] = secure.settings(mechanism)
    if mechanism == "OAUTHBEARER":
        url, _ = token_endpoint
        given |= {"kafka_oauth_token_url": url, "kafka_oauth_client_id": "scanner"}
        given |= {"kafka_oauth_client_secret": "s3cret"}
    # Topics of its own: those of one platform are not another's.
    given["topic_prefix"] = f"secure-{mechanism.lower()}."
    settings = {name: str(value) for name, value in given.items() if name != "kafka_bootstrap_servers"}
    with platform_run(given["kafka_bootstrap_servers"], redis_url, tmp_path, **settings) as platform:

        async def command(*arguments: str) -> str:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "app", *arguments, cwd=ROOT, env=platform.environment,
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            )  # fmt: skip
            said, _ = await process.communicate()
            assert process.returncode == 0, said.decode()
            return said.decode()

        assert "made" in await command("topics", "create")
        assert "as declared" in await command("topics", "check")
        for name, part in (("simulator", "simulate"), ("worker", "worker"), ("gateway", "gateway")):
            platform.start(name, part)
        for name in ("simulator", "worker"):
            await platform.ready(name)
        platform.start("producer", "produce")
        for name in ("producer", "gateway"):
            await platform.ready(name)

        async def rows() -> int:
            return int((await platform.get("gateway", "/healthz")).json()["symbols"])

        async with asyncio.timeout(60):
            while await rows() < 20:
                await asyncio.sleep(0.2)
        assert "events" in await command("record", str(tmp_path / "tape.ndjson.zst"))
        assert "no dead letters" in await command("dead-letters", "list")
        for name in platform.processes:
            assert PASSWORD not in platform.log(name)
