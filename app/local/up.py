"""`tapereader up`: the whole platform on one machine."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import sys
import webbrowser
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.console import Console

from app import clock
from app.errors import StartupError
from app.kafka import topics
from app.local import java
from app.local.claim import claim
from app.local.disk import MIB, DiskWatch, bounded
from app.local.files import private_directory
from app.local.kafka import LocalKafka
from app.local.parts import START_TIMEOUT_S, Parts
from app.local.preflight import check, check_ports
from app.local.processes import ManagedProcess, Reaper
from app.local.redis import LocalRedis
from app.local.screen import Screen
from app.local.state import remove_state, write_state
from app.settings import Settings

if TYPE_CHECKING:
    from app.local.observe import Observation

#: Lines of status on something that is not a terminal: one each so many seconds.
PLAIN_INTERVAL_S = 10.0

#: With fewer cores the page comes first: started all at once, the processes' imports take each other's time.
CORES_FOR_ALL_AT_ONCE = 4

#: A part that died this often while everything starts will not start.
START_ATTEMPTS = 3

#: An open page has asked for the status within this time.
PAGES_ASK_S = 2.5

#: With less free, a part that ended most likely ended for want of room.
FULL_DISK_BYTES = 20 * 1024 * 1024


class Up:
    """Starts the parts in order, keeps them running, stops them in reverse."""

    def __init__(self, settings: Settings, console: Console | None = None) -> None:
        self.data_dir = settings.data_dir.resolve()
        self.settings = settings
        self.screen = Screen(console or Console())
        self.reaper = Reaper()
        self.processes: list[ManagedProcess] = []
        self.parts = Parts(settings, self.data_dir)
        self.stopping = asyncio.Event()
        self._failure: str | None = None
        self._lock: int | None = None
        own_kafka = settings.kafka_bootstrap_servers is None
        self.disk = DiskWatch(self.data_dir, settings.kafka_disk_mib * MIB if own_kafka else None)

    @property
    def address(self) -> str:
        """Where the page is."""
        host = self.settings.http_host
        return f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{self.settings.http_port}/"

    # -- starting

    async def start(self) -> None:
        """Start all parts. Raises `StartupError` with one clear sentence.

        What does not need another part starts beside it: the gateway serves the page while Kafka starts, and the
        others wait for their topics themselves.
        """
        check(self.settings)
        self._lock = self.reaper.holds = await asyncio.to_thread(claim, self.data_dir)
        check_ports(self.settings)
        private_directory(self.data_dir / "logs")
        self._write_state()
        kafka = await self._start_kafka() if self.settings.kafka_bootstrap_servers is None else None
        redis = self._start_redis() if self.settings.redis_url is None else None
        own = self.parts.processes()
        page = [process for process in own if process.name.startswith("gateway")]
        self._launch_all(page)
        if (os.cpu_count() or 1) < CORES_FOR_ALL_AT_ONCE:
            await self._wait("the gateway", lambda: self._page_reachable() or (kafka is not None and kafka.ready()))
        self._launch_all([process for process in own if process not in page])
        if redis is not None:
            await self._wait("Redis", redis.ready)
            self.screen.done("redis", f"answers on port {self.settings.redis_port}")
        if kafka is not None:
            await self._wait("Kafka", kafka.ready)
            self.screen.done("kafka", f"answers on port {self.settings.kafka_port}")
        await self._make_topics()
        await self._wait_for_gateway()

    async def _start_kafka(self) -> LocalKafka:
        if java.listed() is None:
            await self._fetch_jars()
        self.screen.step("kafka", f"starting on port {self.settings.kafka_port}")
        kafka = LocalKafka(self.data_dir / "kafka", self.settings.kafka_port)
        await asyncio.to_thread(kafka.prepare)
        self._launch(kafka.process)
        return kafka

    def _start_redis(self) -> LocalRedis:
        self.screen.step("redis", f"starting on port {self.settings.redis_port}")
        redis = LocalRedis(self.data_dir / "redis", self.settings.redis_port)
        redis.prepare()
        self._launch(redis.process)
        return redis

    async def _fetch_jars(self) -> None:
        # In a process of its own: a download in a thread could not be stopped by Ctrl-C.
        self.screen.step("kafka", "its jars, this once: a download of 80 MB, and half a minute to prepare them")
        fetch = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "app.local.fetch",
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        self.reaper.add(fetch.pid)
        try:
            _, said = await fetch.communicate()
        finally:
            if fetch.returncode is None:
                fetch.kill()
                await fetch.wait()
            self.reaper.remove(fetch.pid)
        if fetch.returncode != 0:
            last = said.decode(errors="replace").strip().splitlines()
            raise StartupError((last[-1] if last else "Kafka's jars could not be fetched").removeprefix("error: "))

    def _launch_all(self, processes: list[ManagedProcess]) -> None:
        for process in processes:
            self.screen.step(process.name, "starting")
            self._launch(process)

    def _page_reachable(self) -> bool:
        with socket.socket() as probe:
            probe.settimeout(0.2)
            return probe.connect_ex(("127.0.0.1", self.settings.http_port)) == 0

    def _launch(self, process: ManagedProcess) -> None:
        process.reaper = self.reaper
        process.start()
        self.processes.append(process)
        self._write_state()

    async def _wait(self, part: str, ready: Callable[[], bool]) -> None:
        deadline_s = clock.monotonic_s() + START_TIMEOUT_S
        while not ready():
            self._watch()
            if clock.monotonic_s() > deadline_s:
                raise StartupError(f"{part} did not answer within {START_TIMEOUT_S:.0f} s; see {self.data_dir}")
            await asyncio.sleep(0.05)

    async def _make_topics(self) -> None:
        # Not above: Kafka and the gateway start while this process imports Kafka's client.
        from aiokafka.errors import KafkaError

        from app.kafka.admin import set_bounds
        from app.kafka.declared import ensure_declared

        settings = self.settings
        own = settings.kafka_bootstrap_servers is None
        specs = list(topics.ALL_TOPICS)
        if own:
            specs = bounded(specs, settings.kafka_disk_mib * MIB, settings.partitions)
        self.screen.step("topics", f"{len(topics.ALL_TOPICS)} with {settings.partitions} partitions each")
        deadline_s = clock.monotonic_s() + 30
        while True:
            try:
                made = await ensure_declared(settings, specs)
                if own:
                    await set_bounds(settings, specs)
                break
            except (OSError, KafkaError) as error:
                if clock.monotonic_s() > deadline_s:
                    raise StartupError(
                        f"Kafka at {settings.bootstrap_servers} does not answer: {type(error).__name__} {error}"
                    ) from error
                await asyncio.sleep(0.3)
        self.screen.done("topics", f"{len(made)} made, {len(topics.ALL_TOPICS) - len(made)} there already")

    async def _wait_for_gateway(self) -> None:
        import httpx

        self.screen.step("gateway", "reading the tables")
        gateway = next(process for process in self.processes if process.name == "gateway")
        deadline_s = clock.monotonic_s() + START_TIMEOUT_S
        async with httpx.AsyncClient(timeout=1.0, trust_env=False) as client:
            while clock.monotonic_s() < deadline_s:
                self._watch()
                failed = next((process for process in self.processes if process.restarts >= START_ATTEMPTS), None)
                if failed is not None:
                    raise StartupError(
                        f"{failed.name} does not start: it ended {failed.restarts} times, the last time with "
                        f"{failed.ending}; see {failed.log_path}"
                    )
                with contextlib.suppress(httpx.HTTPError):
                    if (await client.get(f"{self.address}readyz")).status_code == 200:
                        self.screen.done("gateway", f"answers on port {self.settings.http_port}")
                        return
                await asyncio.sleep(0.2)
        raise StartupError(
            f"the gateway did not become ready within {START_TIMEOUT_S:.0f} s; its log ends:\n{gateway.last_lines()}"
        )

    # -- running

    async def run(self) -> None:
        """Start, show, keep running, and stop everything at the end, however it ends."""
        # What this process and its parts write is its user's alone.
        os.umask(0o077)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self.stopping.set)
        starting = asyncio.create_task(self.start())
        stopping = asyncio.create_task(self.stopping.wait())
        try:
            await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                starting.result()
                self.screen.done("disk", self.disk.usage().told())
                self.screen.ready(self.address)
                if self.settings.browser and self.screen.is_terminal:
                    await asyncio.to_thread(webbrowser.open, self.address)
                await self._keep_running()
        except StartupError as error:
            self._failure = str(error)
            await self._tell_pages()
            raise
        finally:
            for task in (starting, stopping):
                task.cancel()
            await asyncio.gather(starting, stopping, return_exceptions=True)
            self.stop()

    def _watch(self) -> None:
        """Start again what died. Raises `StartupError` for what would die again the same way."""
        for process in self.processes:
            process.watch(self._warn)
            if process.ended_for_good:
                raise StartupError(f"{process.name} ended for good: {process.last_reason or process.ending}")

    def _warn(self, what: str) -> None:
        self.screen.warn(what)
        if shutil.disk_usage(self.data_dir).free < FULL_DISK_BYTES:
            self.screen.warn(f"the disk of {self.data_dir} is full: free some")

    async def _keep_running(self) -> None:
        from app.local.observe import Observer

        observer = Observer(self.settings)
        shown_s = 0.0
        try:
            with self.screen.live():
                while not self.stopping.is_set():
                    self._watch()
                    observation = await observer.look(self.parts.urls, {each.name: each.pid for each in self.processes})
                    now_s = clock.monotonic_s()
                    told = observation.error is not None or bool(observation.rates)
                    if self.screen.is_terminal or (told and now_s - shown_s >= PLAIN_INTERVAL_S):
                        shown_s = now_s
                        self.screen.status(self.address, observation, self.processes)
                    self._write_state(observation)
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(1.0):
                            await self.stopping.wait()
        finally:
            await observer.close()

    async def _tell_pages(self) -> None:
        """Let the open pages read why this ends: they ask every two seconds."""
        self._write_state()
        if any(process.name.startswith("gateway") and process.alive for process in self.processes):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PAGES_ASK_S):
                    await self.stopping.wait()

    def _write_state(self, observation: "Observation | None" = None) -> None:
        if self._lock is None:
            # The directory is not ours, and its state is another's.
            return
        amiss = {} if observation is None else observation.amiss
        state = {
            "address": self.address,
            "kafka": self.settings.bootstrap_servers,
            "started": observation is not None,
            "ready": observation is not None and not observation.faults(),
            "failure": self._failure,
            "disk": asdict(self.disk.usage()),
            "processes": [
                {
                    "name": process.name,
                    "pid": process.pid,
                    "started_at": process.started_at,
                    "alive": process.alive,
                    "amiss": amiss.get(process.name),
                    "restarts": process.restarts,
                    "reason": process.last_reason,
                    "url": self.parts.urls.get(process.name),
                }
                for process in self.processes
            ],
        }
        # A full disk must not end what keeps the others running.
        with contextlib.suppress(OSError):
            write_state(self.data_dir, state | (observation.as_dict() if observation is not None else {}))

    def stop(self) -> None:
        """Stop the parts: what brings events first, what keeps them last; within a kind all at once."""
        for kind in ("producer", "simulator", "worker", "gateway", "redis", "kafka"):
            found = [process for process in self.processes if process.name.split("-")[0] == kind]
            for process in found:
                self.screen.step(process.name, "stopping")
                process.terminate()
            for process in found:
                process.stop()
        self.processes.clear()
        self.reaper.close()
        remove_state(self.data_dir, self._failure)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
