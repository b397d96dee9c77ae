"""Archives Kafka's classes as Java has loaded and linked them, for later starts."""

import contextlib
import socket
import subprocess
import tempfile
from pathlib import Path

from app.errors import StartupError
from app.local import java
from app.local.kafka import LocalKafka
from app.local.kept import alone
from app.local.processes import Reaper


def make_archive() -> bool:
    """Start a Kafka once to see which classes it loads, and archive them; whether that was needed.

    Raises `StartupError`: Java cannot make it; Kafka starts without it all the same.
    """
    archive = java.kept() / java.ARCHIVE
    with alone(archive):
        if archive.is_file():
            return False
        with tempfile.TemporaryDirectory(prefix="archive-", dir=java.kept()) as directory:
            trial = LocalKafka(Path(directory), *_free_ports(2))
            seen, draft = Path(directory) / "classes", Path(directory) / java.ARCHIVE
            trial.process.reaper = reaper = Reaper()
            trial.java_options = ["-XX:AOTMode=record", f"-XX:AOTConfiguration={seen}"]
            try:
                trial.start()
                trial.wait_ready()
            finally:
                # What it saw is written at its end.
                trial.stop(60)
                reaper.close()
            command = [*trial.process.command[:-2], "-XX:AOTMode=create", f"-XX:AOTCache={draft}"]
            command.remove("-XX:AOTMode=record")
            made = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
            if made.returncode != 0 or not draft.is_file():
                raise StartupError(f"Java could not archive Kafka's classes: {(made.stderr or made.stdout)[-300:]}")
            draft.replace(archive)
    return True


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
