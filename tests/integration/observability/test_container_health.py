"""The image's health check, on the processes that it is there for."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from app.kafka.admin import ensure_topics
from app.kafka.topics import ALL_TOPICS
from app.observability.container_health import amiss, running_command
from app.settings import Settings
from tests.conftest import free_port
from tests.eventually import eventually
from tests.integration.agents.workers import PARTITIONS, own_broker

PROGRAM = Path(sys.executable).parent / "tapereader"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A broker of this module's own: a worker writes the platform's tables."""
    with own_broker(tmp_path_factory.mktemp("kafka")) as bootstrap:
        yield bootstrap


def start(log: Path, command: str, settings: Settings) -> psutil.Popen:
    """A command of the installed program, as a container runs it."""
    with log.open("wb") as output:
        return psutil.Popen(
            [str(PROGRAM), command], stdout=output, stderr=output, env=os.environ | settings.as_environment()
        )


@pytest.mark.verify
@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    "command",
    ["simulate", "gateway", "worker"],
)
async def test_a_process_is_well_while_it_answers(tmp_path: Path, broker: str, redis_url: str, command: str) -> None:
    await ensure_topics(broker, ALL_TOPICS, PARTITIONS)
    settings = Settings.load(
        kafka_bootstrap_servers=broker, redis_url=redis_url, partitions=PARTITIONS, symbols=5,
        http_port=free_port(), simulator_port=free_port(), worker_http_port=free_port(),
    )  # fmt: skip
    assert amiss([], settings) == "no command of tapereader runs here"
    process = start(tmp_path / "log", command, settings)
    try:
        await eventually(lambda: running_command([process]) == command)
        await eventually(lambda: amiss([process], settings) is None, timeout_s=40)
        process.send_signal(signal.SIGSTOP)
        found = amiss([process], settings)
        assert found is not None
        assert "did not answer" in found
    finally:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait(10)
    assert amiss([process], settings) == "no command of tapereader runs here"


def test_what_has_no_place_to_ask_is_well_while_it_runs(tmp_path: Path) -> None:
    waiting = [sys.executable, "-c", "import sys; sys.stdin.read()", "tapereader", "topics"]
    with psutil.Popen(waiting, stdin=subprocess.PIPE) as process:
        assert amiss([process], Settings.load()) is None
        process.stdin.close()


def test_the_command_ends_with_1_and_says_why() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "app.observability.container_health"],
        capture_output=True, text=True, timeout=50, check=False,
        env={"PATH": os.environ["PATH"], "TAPEREADER_PARTITIONS": "none"},
    )  # fmt: skip
    assert done.returncode == 1
    assert "TAPEREADER_PARTITIONS" in done.stderr
