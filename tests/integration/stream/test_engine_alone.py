"""The engine without the rest: its own wheel in an environment of its own, and the example of its document."""

import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from tests.consistency.harness import read_all
from tests.eventually import eventually
from tests.worker_processes import ROOT

EXAMPLE = ROOT / "examples" / "counting.py"
PARTITIONS = 4


def test_the_document_shows_the_example_as_it_is() -> None:
    """What a reader copies is what is run here."""
    assert f"```python\n{EXAMPLE.read_text()}```\n" in (ROOT / "docs" / "engine.md").read_text()


@pytest.fixture(scope="module")
def python_with_engine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that holds the engine's wheel and what that asks for, as locked."""
    place = tmp_path_factory.mktemp("alone")
    own = ROOT / ".uv" / "bin" / "uv"
    uv = str(own) if own.exists() else shutil.which("uv")
    assert uv is not None, "uv is needed to build the wheel; `make setup` brings it"

    def run(*arguments: str) -> None:
        done = subprocess.run([uv, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
        assert done.returncode == 0, done.stderr

    run("build", "--quiet", "--wheel", "app/stream", "--out-dir", str(place))
    locked = str(place / "locked.txt")
    run("export", "--quiet", "--frozen", "--all-groups", "--no-hashes", "--no-emit-project", "-o", locked)
    run("venv", "--quiet", "--python", sys.executable, str(place / "venv"))
    python = place / "venv" / "bin" / "python"
    (wheel,) = place.glob("*.whl")
    run("pip", "install", "--quiet", "--python", str(python), "--constraint", locked, str(wheel))
    return python


@pytest.mark.verify
@pytest.mark.timeout(300)
async def test_the_engine_alone_counts_words(python_with_engine: Path, broker_url: str, tmp_path: Path) -> None:
    """The example runs with the wheel alone, on a real broker, from a directory that holds nothing of ours."""
    admin = AIOKafkaAdminClient(bootstrap_servers=broker_url)
    await admin.start()
    compact = {"cleanup.policy": "compact", "max.message.bytes": "16777216"}
    await admin.create_topics(
        [
            NewTopic("words", PARTITIONS, 1),
            NewTopic("word-counts", PARTITIONS, 1, topic_configs=compact),
            NewTopic("dead-letters", PARTITIONS, 1),
        ]
    )
    await admin.close()
    words = ["to", "be", "or", "not", "to", "be"] * 50
    producer = AIOKafkaProducer(bootstrap_servers=broker_url, acks="all")
    await producer.start()
    for word in words:
        await producer.send("words", key=word.encode(), value=b"", partition=len(word) % PARTITIONS)
    await producer.stop()
    shutil.copy(EXAMPLE, tmp_path)
    with (tmp_path / "log").open("wb") as log:
        worker = subprocess.Popen(
            [python_with_engine, "-I", "counting.py", broker_url], cwd=tmp_path, stdout=log, stderr=subprocess.STDOUT
        )
    try:

        async def counted() -> bool:
            assert worker.poll() is None, (tmp_path / "log").read_text()
            records = await read_all(broker_url, "word-counts")
            rows = {record.key.decode(): int(record.value) for record in records if record.value is not None}
            return rows == Counter(words)

        await eventually(counted, timeout_s=60)
    finally:
        worker.terminate()
        worker.wait(timeout=20)
