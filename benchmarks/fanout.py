"""1,000 clients, messages of 500 bytes: the gateway's socket side beside uvicorn alone, interleaved.

    python -m benchmarks.fanout [--clients 1000] [--seconds 4] [--rounds 3]

Deliveries are counted where they arrive, in other processes. Then, at a steady load: the latency with and without a
client that never reads, the time in which one that joins has the present state, and the memory of idle ones.
"""

import argparse
import contextlib
import json
import multiprocessing
import socket
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import psutil

from benchmarks.fanout_clients import FRAME_BYTES, MESSAGE_BYTES, Blocking, clients
from benchmarks.record import keep

PROCESSES = 2
#: Messages a second at which latencies are measured: with 1,000 clients a fifth of what one process can do.
STEADY_HZ = 20.0


def free_port() -> int:
    """A port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """A `fanout_server` process."""

    def __init__(self, kind: str) -> None:
        self.port = free_port()
        self.process = subprocess.Popen([sys.executable, "-m", "benchmarks.fanout_server", kind, str(self.port)])
        deadline = time.monotonic() + 30
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            if time.monotonic() > deadline:
                raise TimeoutError(f"the {kind} server does not answer")
            time.sleep(0.05)

    def pump(self, seconds: float, rate: float = 0) -> dict[str, float]:
        """Let it send for some seconds."""
        url = f"http://127.0.0.1:{self.port}/pump?seconds={seconds}&rate={rate}"
        with urllib.request.urlopen(urllib.request.Request(url, method="POST"), timeout=seconds + 60) as answer:
            return dict(json.load(answer))

    def rss(self) -> int:
        """Its resident memory (bytes)."""
        return int(psutil.Process(self.process.pid).memory_info().rss)

    def stop(self) -> None:
        """End it."""
        self.process.kill()
        self.process.wait()


class Crowd:
    """Clients in processes of their own."""

    def __init__(self, port: int, count: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipes, self._processes = [], []
        for _ in range(PROCESSES):
            mine, theirs = context.Pipe()
            process = context.Process(target=clients, args=(port, count // PROCESSES, theirs), daemon=True)
            process.start()
            self._pipes.append(mine)
            self._processes.append(process)
        for pipe in self._pipes:
            pipe.recv()

    def ask(self, what: str) -> list[Any]:
        """The answers of all processes."""
        for pipe in self._pipes:
            pipe.send(what)
        return [pipe.recv() for pipe in self._pipes]

    def stop(self) -> None:
        """End them."""
        for pipe in self._pipes:
            pipe.send("end")
        for process in self._processes:
            process.join(10)


@contextmanager
def crowded(kind: str, count: int) -> Iterator[tuple[Server, Crowd]]:
    """A server with its clients."""
    server = Server(kind)
    try:
        crowd = Crowd(server.port, count)
        yield server, crowd
        crowd.stop()
    finally:
        server.stop()


def throughput(kind: str, count: int, seconds: float) -> dict[str, float]:
    """Deliveries a second, and for each second of the server's CPU."""
    with crowded(kind, count) as (server, crowd):
        server.pump(1.0)
        before = sum(crowd.ask("bytes"))
        took = server.pump(seconds)
        delivered = (sum(crowd.ask("bytes")) - before) / FRAME_BYTES
    return {"per_s": round(delivered / took["seconds"]), "per_cpu_s": round(delivered / took["cpu_s"])}


def latency_p99_ms(server: Server, crowd: Crowd, seconds: float) -> float:
    """The 99th percentile from publication to the client."""
    crowd.ask("latencies")
    server.pump(seconds, STEADY_HZ)
    return float(np.percentile(np.concatenate(crowd.ask("latencies")), 99) / 1e6)


def steady(count: int, seconds: float, rounds: int) -> dict[str, Any]:
    """Latencies with and without one that never reads; snapshots for those who join."""
    alone, beside = [], []
    with crowded("gateway", count) as (server, crowd):
        server.pump(2.0, STEADY_HZ)
        for _ in range(rounds):
            alone.append(latency_p99_ms(server, crowd, seconds))
            silent = Blocking(server.port, receive_buffer=4096)
            silent.subscribe()
            # Its buffers are filled first: from then on it is behind.
            server.pump(2.0, STEADY_HZ * 2)
            beside.append(latency_p99_ms(server, crowd, seconds))
            silent.close()
        pumping = threading.Thread(target=server.pump, args=(seconds + 2, STEADY_HZ))
        pumping.start()
        snapshots = []
        for _ in range(40):
            joining = Blocking(server.port)
            snapshots.append(joining.snapshot_ms())
            joining.close()
            time.sleep(seconds / 50)
        pumping.join()
    change = statistics.median(beside) / statistics.median(alone) - 1
    return {
        "deliveries_per_s": round(STEADY_HZ * count),
        "p99_ms": [round(each, 2) for each in alone],
        "p99_ms_with_one_that_never_reads": [round(each, 2) for each in beside],
        "change_of_p99": round(change, 3),
        "snapshot_ms": {"p50": round(float(np.median(snapshots)), 2), "max": round(max(snapshots), 2)},
    }


def idle_bytes(count: int) -> int:
    """Memory of the server for each client that is connected and subscribed."""
    server = Server("gateway")
    try:
        before = server.rss()
        crowd = Crowd(server.port, count)
        time.sleep(1)
        after = server.rss()
        crowd.stop()
    finally:
        server.stop()
    return (after - before) // count


def main() -> None:
    """All of it."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--clients", type=int, default=1000)
    arguments.add_argument("--seconds", type=float, default=4.0)
    arguments.add_argument("--rounds", type=int, default=3)
    given = arguments.parse_args()
    found: dict[str, list[dict[str, float]]] = {"plain": [], "gateway": []}
    for _ in range(given.rounds):
        for kind, results in found.items():
            results.append(throughput(kind, given.clients, given.seconds))
            print(kind, results[-1], flush=True)
    ratios = {
        name: round(statistics.median(each[name] for each in found["gateway"])
                    / statistics.median(each[name] for each in found["plain"]), 2)
        for name in ("per_s", "per_cpu_s")
    }  # fmt: skip
    report = {
        "clients": given.clients, "message_bytes": MESSAGE_BYTES, "deliveries": found,
        "ratio_to_uvicorn_alone": ratios, "steady": steady(given.clients, given.seconds, given.rounds),
        "idle_client_bytes": idle_bytes(given.clients),
    }  # fmt: skip
    print(json.dumps(report, indent=1))
    keep("fanout", report)


if __name__ == "__main__":
    main()
