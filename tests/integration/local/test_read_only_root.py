"""The image's root file system may be read-only: what a process writes, it writes to the temporary directory."""

import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from app.kafka.admin import ensure_topics
from app.kafka.topics import ALL_TOPICS
from app.settings import Settings
from tests.conftest import free_port
from tests.eventually import eventually
from tests.integration.agents.workers import PARTITIONS, own_broker

pytestmark = pytest.mark.verify

#: Python's own record of what is opened for writing, made, moved or removed; it is loaded before anything else.
_WATCH = """
import os, sys

def watch(event, arguments):
    if event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) and isinstance(arguments[0], str):
        sys.stderr.write(f"WRITES {arguments[0]}\\n")
    elif event in ("os.mkdir", "os.rename", "os.remove", "os.symlink", "os.link", "sqlite3.connect"):
        sys.stderr.write(f"WRITES {arguments[0]}\\n")

sys.addaudithook(watch)
"""
PROGRAM = Path(sys.executable).parent / "tapereader"


def written(log: Path) -> set[Path]:
    """The paths that a process wrote to."""
    return {Path(path) for path in re.findall(r"WRITES (.+)", log.read_text(errors="replace"))}


@pytest.mark.timeout(180)
async def test_a_process_writes_to_the_temporary_directory_only(tmp_path: Path, redis_url: str) -> None:
    with own_broker(tmp_path / "kafka") as bootstrap:
        await ensure_topics(bootstrap, ALL_TOPICS, PARTITIONS)
        await _watched(tmp_path, bootstrap, redis_url)


async def _watched(tmp_path: Path, bootstrap: str, redis_url: str) -> None:
    watch, temporary, root = (tmp_path / name for name in ("watch", "temporary", "root"))
    for directory in (watch, temporary, root):
        directory.mkdir()
    (watch / "sitecustomize.py").write_text(_WATCH, encoding="utf-8")
    settings = Settings.load(
        kafka_bootstrap_servers=bootstrap, redis_url=redis_url, partitions=PARTITIONS, symbols=5,
        http_port=free_port(), simulator_port=free_port(), worker_http_port=free_port(), control_port=free_port(),
    )  # fmt: skip
    ports = {
        "simulate": settings.simulator_port, "produce": settings.control_port,
        "worker": settings.worker_http_port, "gateway": settings.http_port,
    }  # fmt: skip
    environment = settings.as_environment() | {
        "PATH": "/usr/bin:/bin", "TMPDIR": str(temporary), "HOME": str(temporary), "PYTHONPATH": str(watch),
        # As in the image, whose modules are compiled when it is built.
        "PYTHONDONTWRITEBYTECODE": "1",
    }  # fmt: skip
    processes = {}
    try:
        for command in ports:
            with (tmp_path / f"{command}.log").open("wb") as log:
                processes[command] = subprocess.Popen(
                    [str(PROGRAM), command], cwd=root, env=environment, stdout=log, stderr=log
                )

        async def all_are_ready() -> bool:
            async with httpx.AsyncClient() as client:
                for port in ports.values():
                    try:
                        if (await client.get(f"http://127.0.0.1:{port}/readyz")).status_code != 200:
                            return False
                    except httpx.TransportError:
                        return False
            return True

        await eventually(all_are_ready, timeout_s=90, interval_s=0.5)
        for process in processes.values():
            process.terminate()
        assert {command: process.wait(25) for command, process in processes.items()} == dict.fromkeys(ports, 0)
    finally:
        for process in processes.values():
            process.kill()
            process.wait(10)
    # Faust makes its directory there: the record works.
    assert any(path.is_relative_to(temporary) for path in written(tmp_path / "worker.log"))
    for command in ports:
        elsewhere = {path for path in written(tmp_path / f"{command}.log") if not path.is_relative_to(temporary)}
        assert elsewhere <= {Path("/dev/null")}, command
    assert list(root.iterdir()) == []
