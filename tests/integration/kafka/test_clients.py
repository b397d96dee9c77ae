"""Each client of ours takes a connection that uvloop has closed for a lost one, and goes on over another."""

import ast
import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.metadata import MetadataRequest

from app.kafka.clients import new_admin, new_consumer, new_producer

ROOT = Path(__file__).parents[3]
#: The engine makes its own clients, which a contact listens to.
MAKERS = {"app/kafka/clients.py", "app/stream/internals.py"}


async def _asked_over_a_lost_connection(client: Any) -> None:
    """Lose every connection, as a broker that is killed does, and ask before anybody was told."""
    kafka = getattr(client, "_client", None) or client.client
    await client.start()
    try:
        node = kafka.get_random_node()
        await kafka.ready(node)
        for connection in list(kafka._conns.values()):
            connection._writer.transport.abort()
        await kafka.send(node, MetadataRequest([], None))
    finally:
        await client.stop() if hasattr(client, "stop") else await client.close()


def _in_uvloop(make: Callable[[], Any]) -> None:
    async def asked() -> None:
        await _asked_over_a_lost_connection(make())

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(asked())


MAKE: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "consumer": (new_consumer, lambda url: AIOKafkaConsumer(bootstrap_servers=url)),
    "producer": (new_producer, lambda url: AIOKafkaProducer(bootstrap_servers=url)),
    "admin": (new_admin, lambda url: AIOKafkaAdminClient(bootstrap_servers=url)),
}


@pytest.mark.parametrize("kind", MAKE)
def test_a_request_over_a_connection_that_was_lost_fails_with_kafkas_error(broker_url: str, kind: str) -> None:
    """With aiokafka's own client it is a `RuntimeError`, which nobody repeats."""
    ours, plain = MAKE[kind]
    with pytest.raises(RuntimeError, match="closed"):
        _in_uvloop(lambda: plain(broker_url))
    with pytest.raises(KafkaConnectionError, match="closed"):
        _in_uvloop(lambda: ours(broker_url, "test"))


def test_clients_are_made_in_one_place() -> None:
    """One that is made elsewhere would not take such a connection for a lost one."""
    found = set()
    for room in ("app", "agents", "producers", "tables"):
        for path in (ROOT / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                name = getattr(getattr(node, "func", None), "id", "") if isinstance(node, ast.Call) else ""
                if name.startswith("AIOKafka"):
                    found.add(str(path.relative_to(ROOT)))
    assert found == MAKERS
