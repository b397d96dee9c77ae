"""How long `tapereader up` takes: `python -m benchmarks.start` (`make bench-start`).

The first start has a fresh data directory and everything that `make setup` brings; the second one has what
the first one left. Each step is timed from the command's start. Wall time depends on what else the machine does,
so the processor time up to the first rows is kept beside it: that is what the steps cost.
"""

import argparse
import asyncio
import contextlib
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psutil

from app import clock
from benchmarks.record import keep
from tests.conftest import free_port
from tests.running_up import clean_environment

#: The simulated market's symbols, as by default.
SYMBOLS = 500
TIMEOUT_S = 180.0
_KAFKA = re.compile(r"✓ kafka")
_TOPICS = re.compile(r"✓ topics")
_BOARD = "/api/leaderboards/top_volume?limit=1"


class Start:
    """One `tapereader up`, watched from outside until its rows move."""

    def __init__(self, data_dir: Path) -> None:
        self.port = free_port()
        self.steps: dict[str, float] = {}
        #: A board that was published earlier is of the session before.
        self.began_ns = clock.wall_ns()
        self._began_s = clock.monotonic_s()
        kafka_port = free_port(side_by_side=2)
        ports = {"http": self.port, "kafka": kafka_port, "redis": free_port(), "control": free_port()}
        ports["simulator"] = free_port()
        self.process = subprocess.Popen(
            [
                sys.executable, "-m", "app", "up", "--no-browser", "--data-dir", str(data_dir),
                *(part for name, port in ports.items() for part in (f"--{name}-port", str(port))),
                "--symbols", str(SYMBOLS),
            ],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=clean_environment(),
            start_new_session=True,
        )  # fmt: skip
        self.printed: list[str] = []
        threading.Thread(target=self._follow, daemon=True).start()

    def _follow(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.printed.append(line)
            for step, pattern in (("kafka_answers", _KAFKA), ("topics_checked", _TOPICS)):
                if pattern.search(line):
                    self.note(step)

    def note(self, step: str) -> None:
        """A step was reached now; the first time counts."""
        self.steps.setdefault(step, round(clock.monotonic_s() - self._began_s, 2))

    async def watch(self) -> None:
        """Look until the boards have rows of this session. Raises `SystemExit` when `up` ends or takes too long."""
        looks: dict[str, tuple[str, Callable[[Any], bool]]] = {
            "page_reachable": ("/", lambda _: True),
            "tables_read": ("/readyz", lambda _: True),
            "rows": (_BOARD, lambda answer: bool(answer.json()["entries"])),
            "fresh_rows": (_BOARD, self._fresh),
        }
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", timeout=2.0, trust_env=False) as client:
            while not looks.keys() <= self.steps.keys():
                if self.process.poll() is not None or clock.monotonic_s() - self._began_s > TIMEOUT_S:
                    raise SystemExit("`up` did not bring rows:\n" + "".join(self.printed[-20:]))
                for step, (path, holds) in looks.items():
                    if step not in self.steps:
                        with contextlib.suppress(httpx.HTTPError, KeyError):
                            answer = await client.get(path)
                            if answer.status_code == 200 and holds(answer):
                                self.note(step)
                await asyncio.sleep(0.05)
        self.steps["processor_s"] = round(self._processor_s(), 2)

    def _fresh(self, answer: httpx.Response) -> bool:
        board = answer.json()
        return bool(board["entries"]) and board["published_ns"] > self.began_ns

    def _processor_s(self) -> float:
        """Processor time of `up` and all that it started, those that ended included."""
        spent = 0.0
        family = psutil.Process(self.process.pid)
        for process in (family, *family.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                times = process.cpu_times()
                spent += times.user + times.system + times.children_user + times.children_system
        return spent

    def stop(self) -> None:
        """End it in order."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self.process.wait(90)


def measure(data_dir: Path, run_s: float) -> dict[str, float]:
    """The steps of one start; it goes on for `run_s` after its rows came, so that the next one has data."""
    start = Start(data_dir)
    try:
        asyncio.run(start.watch())
        time.sleep(run_s)
    finally:
        start.stop()
    return start.steps


def main() -> None:
    """Measure some rounds of a first and a second start, print the steps, keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--run-s", type=float, default=20.0, help="seconds that the first start runs on")
    parser.add_argument("--as", dest="name", default="after", help="name that the figures are kept under")
    asked = parser.parse_args()
    found: dict[str, list[dict[str, float]]] = {"first": [], "second": []}
    for number in range(asked.rounds):
        with tempfile.TemporaryDirectory(prefix="tapereader-bench-") as directory:
            for kind, runs in found.items():
                steps = measure(Path(directory) / "data", asked.run_s)
                runs.append(steps)
                print(f"round {number + 1}, {kind} start  " + "  ".join(f"{step} {at}" for step, at in steps.items()))
    figures = {
        kind: {step: statistics.median(run[step] for run in runs) for step in runs[0]} for kind, runs in found.items()
    }
    for kind, medians in figures.items():
        print(f"\n{kind} start, median of {asked.rounds} (load average {os.getloadavg()[0]:.1f})")
        for step, at in sorted(medians.items(), key=lambda item: item[1]):
            print(f"  {step:<16} {at:6.2f} s")
    keep(f"start_{asked.name}", {"rounds": asked.rounds, "seconds": figures, "load_average": os.getloadavg()[0]})


if __name__ == "__main__":
    main()
