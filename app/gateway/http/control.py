"""What operators see and do: processes, lag, the producer's subscriptions, dead letters."""

import asyncio
import os
import re
import signal
from collections import Counter
from typing import Any

import httpx
import msgspec
import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from app.errors import UNREADABLE
from app.gateway.protocol.problems import Problem
from app.kafka import topics
from app.kafka.access import KafkaAccess
from app.kafka.admin import admin_client
from app.kafka.consuming import consuming
from app.observability.operations import CONTROL_HEADER
from app.observability.running import read_state
from app.settings import Settings
from app.stream.letters import DeadLetter

log = structlog.get_logger(__name__)

TIMEOUT_S = 10.0


#: The newest dead letters are counted: the page asks now and then, and more are as bad.
MOST_COUNTED = 1000

_ERROR = re.compile(r"[A-Za-z_.]+(?=: )")


def _kind(reason: str) -> str:
    """The type of error that a reason begins with, else its first words."""
    found = _ERROR.match(reason)
    return found[0] if found else reason[:40]


async def _late(http: httpx.AsyncClient, url: str) -> dict[str, int]:
    """The late records that a worker has left out, by topic; none where it does not answer."""
    try:
        return dict((await http.get(f"{url}/healthz")).json()["late"])
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        return {}


class Operator:
    """The platform's controls, of this machine's `up` and of its producer."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._control_url = settings.gateway_control_url or f"http://127.0.0.1:{settings.control_port}"
        self._letter = msgspec.json.Decoder(DeadLetter)

    def processes(self) -> dict[str, Any]:
        """What `tapereader up` runs on this machine; `running` is false where none does, as in a cluster."""
        state = read_state(self._settings.data_dir)
        if state is None:
            return {"running": False, "processes": []}
        return {"running": True, **{name: value for name, value in state.items() if name != "ends"}}

    def restart(self, name: str) -> dict[str, Any]:
        """Ask a worker to end; `up` starts it again. Raises `Problem`: there is none of that name here."""
        processes = self.processes()["processes"]
        workers = {each["name"]: each for each in processes if each["name"].startswith("worker") and each["pid"]}
        if name not in workers:
            known = ", ".join(sorted(workers)) or "none"
            raise Problem(404, "unknown-worker", f"no worker {name!r} runs by `tapereader up` here; there are: {known}")
        try:
            os.kill(int(workers[name]["pid"]), signal.SIGTERM)
        except ProcessLookupError:
            raise Problem(409, "worker-ended", f"{name} has just ended; it is started again") from None
        log.info("worker_restart_asked", worker=name, pid=workers[name]["pid"])
        return {"worker": name, "restarting": True}

    async def dead_letters(self, limit: int) -> list[dict[str, Any]]:
        """The newest dead letters, newest first."""
        access = KafkaAccess.of(self._settings)
        async with admin_client(access) as admin, consuming(access, "operator") as consumer:
            (topic,) = await admin.describe_topics([topics.DEAD_LETTERS.name])
            parts = [TopicPartition(topic["topic"], each["partition"]) for each in topic["partitions"]]
            newest = await self._newest(consumer, parts, limit)
        newest.sort(key=lambda record: record.timestamp, reverse=True)
        return [self._shown(record) for record in newest[:limit]]

    async def left_out(self) -> dict[str, Any]:
        """What tables do not hold, by topic: refused records by kind of reason, late ones of this machine's workers.

        Refused are the dead letters that Kafka still has, the newest `MOST_COUNTED`; late are those
        since each worker's start.
        """
        refused: Counter[tuple[str, str]] = Counter()
        for letter in await self.dead_letters(MOST_COUNTED):
            refused[str(letter.get("topic", "?")), _kind(str(letter["reason"]))] += 1
        urls = [each.get("url") for each in self.processes()["processes"] if each["name"].startswith("worker")]
        late: Counter[str] = Counter()
        async with httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=False) as http:
            for found in await asyncio.gather(*(_late(http, url) for url in urls if url)):
                late.update(found)
        rows = [{"topic": topic, "reason": kind, "records": count} for (topic, kind), count in refused.most_common()]
        return {"refused": rows, "late": dict(late.most_common())}

    async def _newest(self, consumer: AIOKafkaConsumer, parts: list[TopicPartition], limit: int) -> list[Any]:
        """The last records of each partition, as many as `limit` of each."""
        consumer.assign(parts)
        begins, ends = await consumer.beginning_offsets(parts), await consumer.end_offsets(parts)
        for part in parts:
            consumer.seek(part, max(begins[part], ends[part] - limit))
        newest: list[Any] = []
        while any([await consumer.position(part) < ends[part] for part in parts]):
            for records in (await consumer.getmany(timeout_ms=500)).values():
                newest += records
        return newest

    async def producer(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        """A request to the producer's control. Raises `Problem` (502) where it does not answer."""
        try:
            async with httpx.AsyncClient(timeout=TIMEOUT_S) as http:
                answer = await http.request(
                    method, f"{self._control_url}{path}", content=body, headers={CONTROL_HEADER: "gateway"}
                )
        except httpx.HTTPError as error:
            detail = f"the producer's control at {self._control_url} does not answer: {type(error).__name__}"
            raise Problem(502, "producer-unavailable", detail) from None
        return answer.status_code, answer.content

    def _shown(self, record: Any) -> dict[str, Any]:
        shown = {
            "time_ms": record.timestamp,
            "key": None if record.key is None else record.key.decode("utf-8", "replace"),
        }
        try:
            letter: dict[str, Any] = msgspec.to_builtins(self._letter.decode(record.value or b""))
        except UNREADABLE as error:
            letter = {"reason": f"not a dead letter: {error}"}
        return shown | letter
