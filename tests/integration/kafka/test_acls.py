"""A broker that authorises: what docs/kubernetes.md grants is enough for workers and commands."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiokafka.errors import for_code
from aiokafka.protocol.admin import CreateAclsRequest

from app.kafka.admin import admin_client
from tests.integration.kafka.test_backup import SYMBOLS, command, folded, publish, tables, volumes
from tests.integration.local.platform_run import ROOT, Platform, platform_run
from tests.secure_kafka import PASSWORD, USER, SecureKafka, secure_kafka

pytestmark = [pytest.mark.verify, pytest.mark.timeout(300)]

#: Kafka's numbers (org.apache.kafka.common.resource.ResourceType, .acl.AclOperation): of what the document grants.
TYPES = {"topic": 2, "group": 3, "transactionalId": 5}
OPERATIONS = {"Read": 3, "Write": 4, "Create": 5, "Delete": 6, "Describe": 8, "DescribeConfigs": 10}
PREFIXED, ALLOW = 4, 3
#: Topics without a prefix begin so; in the document all begin with the release's name.
_OURS = ("tapereader",)
BEGINNINGS = {"topic": ("massive.", "market.", "tapereader."), "group": _OURS, "transactionalId": _OURS}


def granted() -> list[dict[str, Any]]:
    """The rights of the document's KafkaUser."""
    text = (ROOT / "docs" / "kubernetes.md").read_text(encoding="utf-8")
    block = re.search(r"```yaml\n(apiVersion: kafka.strimzi.io.*?)```", text, re.DOTALL)
    assert block is not None
    found: list[dict[str, Any]] = yaml.safe_load(block[1])["spec"]["authorization"]["acls"]
    return found


async def grant(bootstrap: str, kinds: set[str]) -> None:
    """Give the user the document's rights on some kinds of resources."""
    rights = [
        (TYPES[kind], name, PREFIXED, f"User:{USER}", "*", OPERATIONS[operation], ALLOW)
        for acl in granted()
        if (kind := acl["resource"]["type"]) in kinds
        for name in BEGINNINGS[kind]
        for operation in acl["operations"]
    ]
    async with admin_client(bootstrap) as admin:
        for right in rights:
            answer = await admin._send_request(CreateAclsRequest(*right))
            ((code, message),) = answer.creation_responses
            assert not code, (for_code(code), message)


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[SecureKafka]:
    """What comes in the clear is the test's own, and may everything."""
    authorizer = "org.apache.kafka.metadata.authorizer.StandardAuthorizer"
    with secure_kafka(tmp_path / "secure", authorizer_class_name=authorizer, super_users="User:ANONYMOUS") as broker:
        yield broker


@pytest.fixture
def platform(secure: SecureKafka, tmp_path: Path, redis_url: str) -> Iterator[Platform]:
    """Its processes log in as the user."""
    user = {
        "kafka_security_protocol": "SASL_SSL",
        "kafka_sasl_mechanism": "SCRAM-SHA-512", "kafka_username": USER, "kafka_password": PASSWORD,
        "kafka_tls_ca_file": str(secure.certificates.authority),
    }  # fmt: skip
    with platform_run(secure.sasl, redis_url, tmp_path, source="none", **user) as found:
        yield found


async def test_what_the_document_grants_is_what_workers_and_commands_need(
    platform: Platform, secure: SecureKafka, tmp_path: Path
) -> None:
    await grant(secure.plain, set(TYPES))
    await command(platform, "topics", "create")
    # The test itself writes and looks in the clear.
    clear = Platform(tmp_path, platform.environment | {"KAFKA_BOOTSTRAP_SERVERS": secure.plain})
    clear.processes, clear.urls = platform.processes, platform.urls
    await publish(clear, 0, 5)
    platform.start("worker", "worker")
    await folded(clear, "worker")
    assert volumes(await tables(clear)) == dict.fromkeys(SYMBOLS, 500.0)
    platform.stop()
    await command(platform, "topics", "check")
    await command(platform, "topics", "backup", str(tmp_path / "tables.ndjson.zst"))
    assert "removed" in await command(platform, "topics", "repair", "--symbol", "S00", "--yes")
    await command(platform, "topics", "delete", "--yes")
