"""What can be known to fail before anything is started, each as one clear sentence."""

import errno
import os
import shutil
import socket
import tempfile
from pathlib import Path

from app.errors import StartupError
from app.names import check_names
from app.settings import Settings, Source

#: Kafka stops taking records on a full disk; below this it is refused before it starts.
LEAST_FREE_BYTES = 500 * 1024 * 1024


def check(settings: Settings) -> None:
    """Raise `StartupError` for what would make a part fail: names, key, directory, disk."""
    data_dir = settings.data_dir.resolve()
    check_names()
    if settings.source is Source.MASSIVE and not settings.api_key():
        raise StartupError("the source is massive and MASSIVE_API_KEY is not set; set it, or use --source simulator")
    check_directory(data_dir)
    check_disk(data_dir)


def check_directory(data_dir: Path) -> None:
    """Raise `StartupError` where the data directory cannot be written, or is another user's."""
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if data_dir.stat().st_uid not in (os.geteuid(), 0):
            raise StartupError(f"the data directory {data_dir} belongs to another user; choose another by --data-dir")
        with tempfile.TemporaryFile(dir=data_dir) as probe:
            probe.write(b"x")
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise StartupError(f"the disk of {data_dir} is full; free some, or choose another by --data-dir") from error
        raise StartupError(
            f"the data directory {data_dir} cannot be written: {error.strerror}; choose another by --data-dir"
        ) from error


def check_disk(data_dir: Path, least_bytes: int = LEAST_FREE_BYTES) -> None:
    """Raise `StartupError` where the disk of the directory has less free than `least_bytes`."""
    free = shutil.disk_usage(data_dir).free
    if free < least_bytes:
        raise StartupError(
            f"the disk of {data_dir} has {free // 2**20:,} MB free, expected at least {least_bytes // 2**20:,} MB; "
            "free some, or choose another disk by --data-dir"
        )


def ports(settings: Settings) -> list[tuple[str, str, int]]:
    """The ports that `up` needs with these settings: what for, the switch that changes it, the port."""
    needed = [("the page", "--http-port", settings.http_port)]
    if settings.kafka_bootstrap_servers is None:
        needed.append(("Kafka", "--kafka-port", settings.kafka_port))
        needed.append(("Kafka's controller, one above Kafka's", "--kafka-port", settings.kafka_port + 1))
    if settings.redis_url is None:
        needed.append(("Redis", "--redis-port", settings.redis_port))
    if settings.source is not Source.NONE:
        needed.append(("the producer's control", "--control-port", settings.control_port))
    if settings.source is Source.SIMULATOR:
        needed.append(("the simulator", "--simulator-port", settings.simulator_port))
    return needed


def check_ports(settings: Settings) -> None:
    """Raise `StartupError` where a port is taken, or wanted twice."""
    wanted: dict[int, str] = {}
    for what, switch, port in ports(settings):
        if port in wanted:
            raise StartupError(f"port {port} is wanted for {wanted[port]} and for {what}; choose another by {switch}")
        wanted[port] = what
        if not port_is_free(port):
            raise StartupError(f"port {port} ({what}) is taken; choose another by {switch}, or stop what listens there")


def port_is_free(port: int) -> bool:
    """Whether nothing listens on a port of this machine."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError):
            return False
        return True
