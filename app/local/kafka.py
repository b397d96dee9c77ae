"""Apache Kafka on this machine: one node (KRaft), without Docker and without Java installed.

What it runs on is in `app.local.java`.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path

from app import clock
from app.errors import StartupError
from app.kafka.topics import MAX_MESSAGE_BYTES
from app.local import java
from app.local.files import private_directory, write_whole
from app.local.processes import ManagedProcess

#: The broker that `up` starts serves one machine: 1 GB is enough for 200,000 records/s here.
HEAP_OPTIONS = ("-Xmx1g", "-Xms256m", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20")

#: Formatting runs for two seconds once: compiling well what runs once only costs time.
_SHORT_RUN = ("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")

_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
log.dirs={data_dir}
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
message.max.bytes={message_bytes}
replica.fetch.max.bytes={message_bytes}
socket.request.max.bytes=209715200
log.cleaner.backoff.ms=5000
log.retention.check.interval.ms=60000
"""

_LOGGING = """\
status=warn
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d{ISO8601} %p %c{1}: %m%n
rootLogger.level=warn
rootLogger.appenderRef.out.ref=out
"""


def new_cluster_id() -> str:
    """An id as Kafka makes them: a UUID in base64."""
    return urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()


class LocalKafka:
    """A broker with its own data directory; a second start goes on with the same data.

    `start` returns as soon as the process runs; `ready` says whether it answers. `properties` come on top
    of the configuration, `format_options` go to Kafka's storage tool when the directory is formatted.
    Nodes of one cluster share a `cluster_id`.
    """

    def __init__(
        self,
        data_dir: Path,
        port: int,
        controller_port: int | None = None,
        *,
        properties: Mapping[str, str] | None = None,
        format_options: Sequence[str] = (),
        cluster_id: str | None = None,
        heap_options: Sequence[str] = HEAP_OPTIONS,
    ) -> None:
        self.data_dir, self.port = data_dir.resolve(), port
        self.properties, self.format_options = dict(properties or {}), list(format_options)
        self.controller_port = controller_port or port + 1
        self.cluster_id, self.heap_options = cluster_id or new_cluster_id(), tuple(heap_options)
        self.process = ManagedProcess("kafka", (), self.data_dir / "kafka.log")
        #: What Java is told beside the heap; by default to take the archive of loaded classes, where there is one.
        self.java_options = java.archive_options()

    @property
    def bootstrap_servers(self) -> str:
        """Where clients connect."""
        return f"127.0.0.1:{self.port}"

    @property
    def log_path(self) -> Path:
        """The broker's log: warnings and errors."""
        return self.process.log_path

    def prepare(self) -> None:
        """Write the configuration, and format the data directory the first time.

        Raises `StartupError`: the jars or the directory cannot be had.
        """
        log_dir = self.data_dir / "data"
        properties, logging = self.data_dir / "server.properties", self.data_dir / "log4j2.properties"
        private_directory(self.data_dir)
        write_whole(logging, _LOGGING.encode())
        text = _PROPERTIES.format(
            port=self.port, controller_port=self.controller_port, data_dir=log_dir, message_bytes=MAX_MESSAGE_BYTES
        )
        text += "".join(f"{name}={value}\n" for name, value in self.properties.items())
        write_whole(properties, text.encode())
        tail = ["-cp", os.pathsep.join(map(str, java.jars())), f"-Dlog4j2.configurationFile={logging.as_uri()}"]
        # Its own hook would lose what Kafka says while it ends.
        tail.append("-Dlog4j.shutdownHookEnabled=false")
        if not _formatted(log_dir):
            self._format([str(java.runtime()), *_SHORT_RUN, *tail], properties, log_dir)
        self.process.command = [
            str(java.runtime()), *self.heap_options, *self.java_options, *tail, "kafka.Kafka", str(properties)
        ]  # fmt: skip

    def _format(self, command: list[str], properties: Path, log_dir: Path) -> None:
        # A directory that a killed format left half written counts as formatted to Kafka's own tool.
        shutil.rmtree(log_dir, ignore_errors=True)
        if self.properties or self.format_options:
            self._format_by_tool(command, properties)
        elif not _format_as_before(log_dir, self.cluster_id):
            self._format_by_tool(command, properties)
            with contextlib.suppress(OSError):
                write_whole(java.kept() / _CHECKPOINT, (log_dir / _CHECKPOINT).read_bytes())

    def _format_by_tool(self, command: list[str], properties: Path) -> None:
        # With `=`: an id may begin with a dash, which would be taken for an option.
        options = [f"--cluster-id={self.cluster_id}", "-c", str(properties), *self.format_options]
        formatted = subprocess.run(
            [*command, "kafka.tools.StorageTool", "format", *options],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        if formatted.returncode != 0:
            raise StartupError(
                f"Kafka's data directory {self.data_dir} could not be formatted: "
                f"{(formatted.stderr or formatted.stdout)[-500:]}"
            )

    def start(self) -> None:
        """Start the broker."""
        self.prepare()
        self.process.start()

    def ready(self) -> bool:
        """Whether the broker accepts connections. Raises `StartupError` when it has ended."""
        if not self.process.alive:
            raise StartupError(f"Kafka ended while it started; the end of {self.log_path}:\n{self._cause()}")
        with socket.socket() as probe:
            probe.settimeout(0.5)
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def _cause(self) -> str:
        lines = self.process.last_lines(400).splitlines()
        telling = [line for line in lines if not line.startswith("\t") and ("Exception: " in line or " ERROR " in line)]
        return "\n".join(dict.fromkeys((telling or lines)[-4:]))

    def wait_ready(self, timeout_s: float = 60.0) -> None:
        """Wait until the broker answers. Raises `StartupError` when it does not in time."""
        deadline_s = clock.monotonic_s() + timeout_s
        while not self.ready():
            if clock.monotonic_s() > deadline_s:
                raise StartupError(
                    f"Kafka did not answer on port {self.port} within {timeout_s:.0f} s; see {self.log_path}"
                )
            clock.pause(0.05)

    def stop(self, timeout_s: float = 20.0) -> None:
        """Stop the broker in order, by force where it takes longer."""
        self.process.stop(timeout_s)


#: What the format writes, in this order: whose directory it is, and the metadata that a cluster begins with.
_META, _CHECKPOINT = "meta.properties", "bootstrap.checkpoint"


def _formatted(log_dir: Path) -> bool:
    # The second alone tells that it was finished.
    return (log_dir / _META).exists() and (log_dir / _CHECKPOINT).exists()


def _format_as_before(log_dir: Path, cluster_id: str) -> bool:
    """Format a directory from what the tool wrote once, which takes Java 3 s; whether that was there.

    The checkpoint holds the features of Kafka's version and nothing of one cluster; the directory's id is a new one.
    """
    try:
        checkpoint = (java.kept() / _CHECKPOINT).read_bytes()
    except OSError:
        return False
    log_dir.mkdir(parents=True)
    meta = {"cluster.id": cluster_id, "directory.id": new_cluster_id(), "node.id": "1", "version": "1"}
    write_whole(log_dir / _META, "".join(f"{name}={value}\n" for name, value in meta.items()).encode())
    write_whole(log_dir / _CHECKPOINT, checkpoint)
    return True
