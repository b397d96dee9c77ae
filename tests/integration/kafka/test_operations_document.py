"""docs/operations.md is run as it stands: every block marked `sh`, in order, by a shell."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from app.kafka.admin import admin_client
from app.kafka.backup import KEPT
from tests.conftest import free_port
from tests.integration.agents.workers import own_broker
from tests.integration.kafka.test_backup import SYMBOLS, events

pytestmark = pytest.mark.timeout(400)

DOCUMENT = Path(__file__).parents[3] / "docs" / "operations.md"


def script() -> str:
    """The document's blocks as one script that ends at the first command that fails."""
    blocks = re.findall(r"^```sh\n(.*?)^```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return "set -eux\n" + "\n".join(blocks)


@pytest.mark.verify
async def test_every_step_of_the_document_works(tmp_path: Path, redis_url: str) -> None:
    (tmp_path / "yesterday.ndjson").write_bytes(b"\n".join(events(0, 20)) + b"\n")
    text = script()
    for port in ("4300", "4301"):
        text = text.replace(port, str(free_port()))
    with own_broker(tmp_path / "kafka") as bootstrap, own_broker(tmp_path / "other") as other:
        environment = os.environ | {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
            "OTHER_KAFKA": other,
            "REDIS_URL": redis_url,
            "TAPEREADER_SOURCE": "none",
        }
        log = tmp_path / "said.log"
        with log.open("wb") as said:
            # A group of its own: whatever the script has started ends with it.
            process = subprocess.Popen(
                ["bash", "-c", text], cwd=tmp_path, env=environment, stdout=said, stderr=said, start_new_session=True
            )
            try:
                code = process.wait(380)
            finally:
                subprocess.run(["kill", "-KILL", "--", f"-{process.pid}"], check=False, capture_output=True)
                process.wait(10)
        told = log.read_text(encoding="utf-8", errors="replace")
        assert code == 0, told[-4000:]
        assert "rows in 8 partitions" in told
        # Rows of every symbol came over, to both.
        found = re.search(r"market\.quotes (\d+)", told)
        assert found is not None, told[-4000:]
        assert int(found[1]) == len(SYMBOLS)
        async with admin_client(other) as admin:
            assert {spec.name for spec in KEPT} <= set(await admin.list_topics())


def test_the_document_says_how_each_table_is_brought_back() -> None:
    text = script()
    for command in ("config check", "topics create", "topics backup", "topics restore", "topics repartition", "replay"):
        assert f"tapereader {command}" in text, command
