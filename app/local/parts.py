"""Which processes of our own `up` runs, with which settings, and where each answers."""

import secrets
import socket
import sys
from pathlib import Path

from pydantic import SecretStr

from app.local.processes import ManagedProcess
from app.settings import Settings, Source

#: A part that is not up by then will not be; tables of a whole day are read back in well under that.
START_TIMEOUT_S = 120.0


class Parts:
    """The processes of one `up`; `urls` says where each answers `/readyz` and `/metrics`, by name."""

    def __init__(self, settings: Settings, data_dir: Path) -> None:
        self.urls: dict[str, str] = {}
        self._data_dir, self._given = data_dir, settings
        self._secret = settings.gateway_session_secret or SecretStr(secrets.token_hex(32))
        self._settings = settings

    def processes(self) -> list[ManagedProcess]:
        """All of them, none started; Redis was prepared before, whose password they are given."""
        settings, data_dir = self._given, self._data_dir
        self._settings = settings.model_copy(
            update={
                "data_dir": data_dir,
                "kafka_bootstrap_servers": settings.bootstrap_servers,
                "redis_url": settings.model_copy(update={"data_dir": data_dir}).redis_address,
                # One for all gateways: a session is good at each of them.
                "gateway_session_secret": self._secret,
                "simulator_clock_file": settings.simulator_clock_file or data_dir / "simulator-clock",
                "kafka_wait_s": max(settings.kafka_wait_s, START_TIMEOUT_S),
            }
        )
        return [self._process(name, command) for name, command in self._commands()]

    def _commands(self) -> list[tuple[str, str]]:
        commands = [("gateway", "gateway")]
        commands += [(f"gateway-{number}", "gateway") for number in range(2, self._settings.gateways + 1)]
        commands += [(f"worker-{number}", "worker") for number in range(1, self._settings.workers + 1)]
        if self._settings.source is Source.SIMULATOR:
            commands.append(("simulator", "simulate"))
        if self._settings.source is not Source.NONE:
            commands.append(("producer", "produce"))
        return commands

    def _process(self, name: str, command: str) -> ManagedProcess:
        settings = self._settings
        if command == "worker":
            settings = settings.model_copy(update={"worker_http_port": self._worker_port(name)})
        self.urls[name] = _url(settings, command)
        log_path = self._data_dir / "logs" / f"{name}.log"
        return ManagedProcess(name, [sys.executable, "-m", "app", command], log_path, settings.as_environment())

    def _worker_port(self, name: str) -> int:
        """A worker's HTTP port: from the settings' on, one each; a free one where they say 0."""
        first = self._settings.worker_http_port
        if first:
            return first + int(name.rpartition("-")[2]) - 1
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return int(probe.getsockname()[1])


def _url(settings: Settings, command: str) -> str:
    host, port = {
        "gateway": (settings.http_host, settings.http_port),
        "produce": (settings.http_host, settings.control_port),
        "worker": (settings.worker_http_host, settings.worker_http_port),
        "simulate": ("127.0.0.1", settings.simulator_port),
    }[command]
    return f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}"
