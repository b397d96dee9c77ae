"""`tapereader up`: the whole platform on one machine."""

import asyncio
import json
import os
import shutil
import signal
import socket
import webbrowser
from collections.abc import Mapping
from pathlib import Path

import httpx
import psutil
from rich.console import Console

from app import clock, topics
from app.errors import StartupError
from app.local.kafka import LocalKafka, jars
from app.local.observe import Observation, Observer
from app.local.processes import ManagedProcess, die_with_parent
from app.local.redis import LocalRedis
from app.local.screen import Screen
from app.names import check_names
from app.settings import PREFIX, Settings, Source
from app.topic_admin import ensure_topics

#: Kafka stops taking records on a full disk; below this it is refused before it starts.
LEAST_FREE_BYTES = 500 * 1024 * 1024

#: Lines of status on something that is not a terminal: one each so many seconds.
PLAIN_INTERVAL_S = 10.0


class Up:
    """Starts the parts in order, keeps them running, stops them in reverse."""

    def __init__(self, settings: Settings, console: Console | None = None) -> None:
        self.settings = settings
        self.screen = Screen(console or Console(stderr=False))
        self.data_dir = settings.data_dir.resolve()
        self.state_path = self.data_dir / "up.json"
        self.kafka: LocalKafka | None = None
        self.redis: LocalRedis | None = None
        self.processes: list[ManagedProcess] = []
        self.stopping = asyncio.Event()

    # -- before anything is started

    def check(self) -> None:
        """Raise `StartupError` for what would make a part fail: names, directory, disk, ports."""
        check_names()
        try:
            self.data_dir.mkdir(parents=True, exist_ok=True)
            probe = self.data_dir / ".writable"
            probe.write_bytes(b"x")
            probe.unlink()
        except OSError as error:
            raise StartupError(
                f"the data directory {self.data_dir} cannot be written: {error.strerror}; choose another by --data-dir"
            ) from error
        free = shutil.disk_usage(self.data_dir).free
        if free < LEAST_FREE_BYTES:
            raise StartupError(
                f"the disk of {self.data_dir} has {free // 2**20} MB free, expected at least "
                f"{LEAST_FREE_BYTES // 2**20} MB; free some, or choose another disk by --data-dir"
            )
        running = read_state(self.data_dir)
        if running is not None:
            raise StartupError(
                f"`tapereader up` runs already on {self.data_dir} (process {running['pid']}); "
                "stop it by `tapereader down`, or choose another --data-dir"
            )
        for switch, port in self._ports().items():
            if not port_is_free(port):
                raise StartupError(f"port {port} is taken; choose another by {switch}, or stop what listens there")

    def _ports(self) -> dict[str, int]:
        settings = self.settings
        ports = {"--http-port": settings.http_port}
        if settings.kafka_bootstrap_servers is None:
            ports["--kafka-port"] = settings.kafka_port
            ports["--kafka-port (the next one is used too)"] = settings.kafka_port + 1
        if settings.redis_url is None:
            ports["--redis-port"] = settings.redis_port
        if settings.source is not Source.NONE:
            ports["--control-port"] = settings.control_port
        if settings.source is Source.SIMULATOR:
            ports["--simulator-port"] = settings.simulator_port
        return ports

    # -- starting

    async def start(self) -> None:
        """Start all parts. Raises `StartupError` with one clear sentence."""
        self.check()
        self.write_state()
        say = self.screen.step
        if self.settings.kafka_bootstrap_servers is None:
            say("Kafka", "its jars (a download of 80 MB the first time)")
            await asyncio.to_thread(jars)
            say("Kafka", f"starting on port {self.settings.kafka_port}")
            self.kafka = LocalKafka(self.data_dir / "kafka", self.settings.kafka_port)
            self.kafka.before_start = die_with_parent
            self.kafka.start()
        if self.settings.redis_url is None:
            say("Redis", f"starting on port {self.settings.redis_port}")
            self.redis = LocalRedis(self.data_dir / "redis", self.settings.redis_port)
            self.redis.before_start = die_with_parent
            self.redis.start()
            await asyncio.to_thread(self.redis.wait_ready)
            self.screen.done("Redis", f"answers on port {self.settings.redis_port}")
        if self.kafka is not None:
            await asyncio.to_thread(self.kafka.wait_ready)
            self.screen.done("Kafka", f"answers on port {self.settings.kafka_port}")
        self.write_state()
        await self._make_topics()
        self._start_processes()
        await self._wait_for_gateway()

    async def _make_topics(self) -> None:
        self.screen.step("Topics", f"{len(topics.ALL_TOPICS)} with {self.settings.partitions} partitions each")
        deadline_s = clock.monotonic_s() + 30
        while True:
            try:
                made = await ensure_topics(
                    self.settings.bootstrap_servers,
                    topics.ALL_TOPICS,
                    self.settings.partitions,
                    self.settings.replication_factor,
                )
                break
            except OSError as error:
                if clock.monotonic_s() > deadline_s:
                    raise StartupError(
                        f"Kafka at {self.settings.bootstrap_servers} does not answer: {error}"
                    ) from error
                await asyncio.sleep(0.3)
        self.screen.done("Topics", f"{len(made)} made, {len(topics.ALL_TOPICS) - len(made)} there already")

    def _environment(self) -> Mapping[str, str]:
        """The settings as the environment of the processes, so that switches reach them."""
        values: dict[str, str] = {}
        for name, value in self.settings.model_dump(mode="json", exclude={"massive_api_key", "browser"}).items():
            if value is not None:
                values[f"{PREFIX}{name.upper()}"] = ",".join(value) if isinstance(value, list) else str(value)
        values[f"{PREFIX}KAFKA_BOOTSTRAP_SERVERS"] = self.settings.bootstrap_servers
        values[f"{PREFIX}REDIS_URL"] = self.settings.redis_address
        values[f"{PREFIX}DATA_DIR"] = str(self.data_dir)
        return values

    def _start_processes(self) -> None:
        wanted: list[tuple[str, list[str]]] = [("gateway", ["gateway"])]
        wanted += [(f"worker-{number}", ["worker"]) for number in range(1, self.settings.workers + 1)]
        if self.settings.source is Source.SIMULATOR:
            wanted.append(("simulator", ["simulate"]))
        if self.settings.source is not Source.NONE:
            wanted.append(("producer", ["produce"]))
        environment = self._environment()
        for name, arguments in wanted:
            self.screen.step(name, "starting")
            process = ManagedProcess(name, arguments, environment, self.data_dir / "logs" / f"{name}.log")
            process.start()
            self.processes.append(process)
        self.write_state()

    async def _wait_for_gateway(self) -> None:
        self.screen.step("gateway", "reading the tables")
        deadline_s = clock.monotonic_s() + 60
        url = f"http://127.0.0.1:{self.settings.http_port}/readyz"
        async with httpx.AsyncClient(timeout=1.0) as client:
            while clock.monotonic_s() < deadline_s and not self.stopping.is_set():
                for process in self.processes:
                    process.watch(self.screen.warn)
                try:
                    if (await client.get(url)).status_code == 200:
                        self.screen.done("gateway", f"answers on port {self.settings.http_port}")
                        return
                except httpx.HTTPError:
                    pass
                await asyncio.sleep(0.2)
        if not self.stopping.is_set():
            gateway = self.processes[0]
            raise StartupError(f"the gateway did not become ready within 60 s; its log ends:\n{gateway.last_lines()}")

    # -- running

    async def run(self) -> None:
        """Start, show, keep running, and stop everything at the end, however it ends."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.stopping.set)
        try:
            starting = asyncio.create_task(self.start())
            stopping = asyncio.create_task(self.stopping.wait())
            await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not starting.done():
                starting.cancel()
                await asyncio.wait({starting})
            else:
                starting.result()
                stopping.cancel()
                address = f"http://{self.settings.http_host}:{self.settings.http_port}/"
                self.screen.ready(address)
                if self.settings.browser and self.screen.is_terminal:
                    await asyncio.to_thread(webbrowser.open, address)
                await self._keep_running(address)
        finally:
            await asyncio.to_thread(self.stop)

    async def _keep_running(self, address: str) -> None:
        observer = Observer(self.settings)
        shown_s = 0.0
        try:
            with self.screen.live():
                while not self.stopping.is_set():
                    for process in self.processes:
                        process.watch(self.screen.warn)
                    observation = await observer.look()
                    now_s = clock.monotonic_s()
                    if self.screen.is_terminal or now_s - shown_s >= PLAIN_INTERVAL_S:
                        shown_s = now_s
                        self.screen.status(address, observation, self.processes)
                    self.write_state(observation)
                    try:
                        await asyncio.wait_for(self.stopping.wait(), 1.0)
                    except TimeoutError:
                        continue
        finally:
            await observer.close()

    def write_state(self, observation: Observation | None = None) -> None:
        """Write what `down` and `status` read."""
        state = {
            "pid": os.getpid(),
            "started_at": psutil.Process().create_time(),
            "address": f"http://{self.settings.http_host}:{self.settings.http_port}/",
            "kafka": self.settings.bootstrap_servers,
            "redis": self.settings.redis_address,
            "processes": [
                {"name": process.name, "pid": process.pid, "alive": process.alive, "restarts": process.restarts}
                for process in self.processes
            ],
        }
        if observation is not None:
            state |= {
                "events_in_per_s": round(observation.events_in_per_s, 1),
                "rows_out_per_s": round(observation.rows_out_per_s, 1),
                "lag": observation.lag,
                "symbols": observation.symbols,
                "ends": observation.ends,
            }
        draft = self.state_path.with_suffix(".tmp")
        draft.write_text(json.dumps(state, indent=1), encoding="utf-8")
        draft.replace(self.state_path)

    def stop(self) -> None:
        """Stop the parts: what brings events first, what keeps them last."""
        order = {"producer": 0, "simulator": 1, "worker": 2, "gateway": 3}
        for process in sorted(self.processes, key=lambda found: order[found.name.split("-")[0]]):
            self.screen.step(process.name, "stopping")
            process.stop()
        self.processes.clear()
        if self.redis is not None:
            self.screen.step("Redis", "stopping")
            self.redis.stop()
        if self.kafka is not None:
            self.screen.step("Kafka", "stopping")
            self.kafka.stop()
        state = read_state(self.data_dir)
        if state is not None and state["pid"] == os.getpid():
            self.state_path.unlink(missing_ok=True)


def port_is_free(port: int) -> bool:
    """Whether nothing listens on a port of this machine."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def read_state(data_dir: Path) -> dict[str, object] | None:
    """What a running `up` of this directory wrote; None where none runs."""
    try:
        state: dict[str, object] = json.loads((data_dir.resolve() / "up.json").read_text(encoding="utf-8"))
        process = psutil.Process(int(str(state["pid"])))
    except (OSError, ValueError, KeyError, psutil.Error):
        return None
    # A process id is given again; the time at which its process was started is not.
    same = abs(process.create_time() - float(str(state.get("started_at", 0)))) < 2.0
    return state if same and process.is_running() else None


def down(data_dir: Path, timeout_s: float = 60.0) -> bool:
    """Stop a running `up`; whether there was one. Raises `StartupError` when it does not end."""
    state = read_state(data_dir)
    if state is None:
        return False
    process = psutil.Process(int(str(state["pid"])))
    process.terminate()
    try:
        process.wait(timeout_s)
    except psutil.TimeoutExpired:
        raise StartupError(f"process {process.pid} did not end within {timeout_s:.0f} s") from None
    return True
