"""The ids of topics: one that is deleted and made anew has the same name and another id.

aiokafka asks for metadata in its versions up to 5; ids came with version 10
(https://cwiki.apache.org/confluence/display/KAFKA/KIP-516%3A+Topic+Identifiers).
"""

import asyncio
import uuid
from collections.abc import Iterable
from io import BytesIO
from typing import Any

from aiokafka.errors import IncompatibleBrokerVersion
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    AbstractType,
    Array,
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)

from app.stream.errors import EngineError

#: A topic that was just made is shown by every broker within this time, and looked for this often (s).
VISIBLE_WITHIN_S = 15.0
LOOK_EVERY_S = 0.2


class _Uuid(AbstractType):
    @classmethod
    def encode(cls, value: bytes) -> bytes:
        return value

    @classmethod
    def decode(cls, data: BytesIO) -> bytes:
        return data.read(16)


_text = CompactString("utf-8")
_replicas = CompactArray(Int32)
_partition = Schema(
    ("error_code", Int16), ("partition", Int32), ("leader", Int32), ("leader_epoch", Int32), ("replicas", _replicas),
    ("isr", _replicas), ("offline", _replicas), ("tags", TaggedFields),
)  # fmt: skip


def _array(*fields: tuple[str, Any]) -> Array:
    # CompactArray takes one type; a schema of several is one.
    return CompactArray(Schema(*fields))


class _MetadataResponse(Response):
    API_KEY = 3
    API_VERSION = 10
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("brokers", _array(
            ("node_id", Int32), ("host", _text), ("port", Int32), ("rack", _text), ("tags", TaggedFields),
        )),
        ("cluster_id", _text),
        ("controller_id", Int32),
        ("topics", _array(
            ("error_code", Int16), ("topic", _text), ("topic_id", _Uuid), ("is_internal", Boolean),
            ("partitions", CompactArray(_partition)), ("authorized_operations", Int32), ("tags", TaggedFields),
        )),
        ("authorized_operations", Int32),
        ("tags", TaggedFields),
    )  # fmt: skip


class _MetadataRequestV10(RequestStruct):
    API_KEY = 3
    API_VERSION = 10
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _MetadataResponse
    SCHEMA = Schema(
        ("topics", _array(("topic_id", _Uuid), ("name", _text), ("tags", TaggedFields))),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


class _MetadataRequest(Request[_MetadataRequestV10]):
    API_KEY = 3

    def __init__(self, topics: Iterable[str]) -> None:
        self._topics: list[Any] = [(bytes(16), topic, {}) for topic in topics]

    def build(self, request_struct_class: Any) -> Any:
        return request_struct_class(self._topics, False, False, False, {})


async def topic_ids(client: Any, topics: Iterable[str]) -> dict[str, str]:
    """The ids of some topics, as the cluster of an aiokafka client has them now; without those that are not there.

    Raises `KafkaError` where no broker answers, `NotImplementedError` where brokers are older than Kafka 2.8.
    """
    wanted = sorted(set(topics))
    if not wanted:
        return {}
    response = await client.send(client.get_random_node(), _MetadataRequest(wanted))
    return {
        topic: str(uuid.UUID(bytes=topic_id))
        for code, topic, topic_id, *_ in response.topics
        if code == 0 and any(topic_id)
    }


async def ids_of_all(client: Any, topics: Iterable[str]) -> dict[str, str]:
    """The ids of some topics that all have to be there, waiting for those that brokers do not show yet.

    Nothing where brokers know no ids. Raises `EngineError` where a topic is not there in time.
    """
    wanted = set(topics)
    for _ in range(int(VISIBLE_WITHIN_S / LOOK_EVERY_S)):
        try:
            found = await topic_ids(client, wanted)
        except (IncompatibleBrokerVersion, NotImplementedError):
            return {}
        if found.keys() == wanted:
            return found
        await asyncio.sleep(LOOK_EVERY_S)
    raise EngineError(
        f"the topics {', '.join(sorted(wanted - found.keys()))} are not there after {VISIBLE_WITHIN_S:.0f} s; make them"
    )
