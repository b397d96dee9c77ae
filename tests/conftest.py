"""Real Kafka and Redis for the tests, started once a session in seconds; no test is skipped in silence."""

import itertools
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from app.local.kafka import LocalKafka
from app.local.redis import LocalRedis

pytest_plugins = [
    "tests.skips", "tests.timeouts", "tests.folder_times", "tests.page_stack", "tests.gateway_fixtures",
    "tests.simulator_client",
]  # fmt: skip

# The same examples in every run, and no judgement of how long a busy machine takes to draw them.
settings.register_profile("tapereader", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tapereader")

# A broker of a test lives for seconds: to compile well what runs so briefly costs half of the processor time of a start
# (3.2 s in place of 5.8 s). What the tests start, `up` among it, takes this from the environment.
os.environ.setdefault("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1")

_counter = itertools.count(1)
SHARED_TAPE = Path(__file__).parents[2] / "shared" / "tape"

#: Ports that the system gives to nobody by itself: what is free here stays free until a test takes it.
PORTS = range(10_000, 32_000)
#: Each process begins at a place of its own, so that those that run side by side do not probe the same port.
_ports = itertools.cycle([*PORTS[os.getpid() * 101 % len(PORTS) :], *PORTS[: os.getpid() * 101 % len(PORTS)]])


def free_port(side_by_side: int = 1) -> int:
    """A port that nothing listens on now and that was not given before; or the first of some side by side."""
    found: list[int] = []
    for port in itertools.islice(_ports, len(PORTS)):
        found = [*found, port] if found and port == found[-1] + 1 else [port]
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                found = []
        if len(found) == side_by_side:
            return found[0]
    raise AssertionError(f"no free port from {PORTS.start} to {PORTS.stop}")


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalKafka]:
    """A broker of the test process's own: the platform's topics have one name each."""
    broker = LocalKafka(tmp_path_factory.mktemp("kafka"), free_port(), free_port())
    broker.start()
    try:
        broker.wait_ready()
        yield broker
    finally:
        broker.stop()


@pytest.fixture
def own_kafka(tmp_path: Path) -> Iterator[LocalKafka]:
    """A broker that the test may take away or pause."""
    broker = LocalKafka(tmp_path / "kafka", free_port(), free_port())
    broker.start()
    try:
        broker.wait_ready()
        yield broker
    finally:
        if broker.process.pid is not None:
            os.kill(broker.process.pid, signal.SIGCONT)
        broker.stop()


@pytest.fixture(scope="session")
def broker_url(kafka: LocalKafka) -> str:
    """Bootstrap servers of the session's broker."""
    return kafka.bootstrap_servers


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a Redis of the test session's own."""
    server = LocalRedis(tmp_path_factory.mktemp("redis"), free_port(), withheld=())
    server.start()
    try:
        server.wait_ready()
        yield server.url
    finally:
        server.stop()


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Prints a figure for the reader of the run, whether the test passes or not."""

    def printed(text: str) -> None:
        with capsys.disabled():
            sys.stdout.write(f"\n{text}\n")

    return printed


@pytest.fixture
def unique() -> str:
    """A name that no other test of this session has."""
    return f"n{next(_counter)}"


@pytest.fixture(scope="session")
def tape_dir() -> Path:
    """The directory of the real tape, where it is there."""
    if not SHARED_TAPE.exists():
        pytest.skip(f"the real tape is not at {SHARED_TAPE}")
    return SHARED_TAPE
