"""Latency of the whole chain at 10,000 events/s: from the simulator's socket to a subscriber's receipt.

    python -m benchmarks.chain_latency [--rate 10000] [--seconds 30]

`tapereader up` with a simulated market, one worker and one gateway; the clock starts when the producer has the
event from the simulator's socket (its `received_ns` travels in the record's header and in the row) and stops when
a WebSocket subscriber, who has them all, has the row. Quotes (`nbbo:*`) come at any time; bars (`quote:*`) come in
one burst each second, so that the last of a burst waits for all before it. Boards are published once a second: what
is told of them is the age of their newest entry, the wait for the publication included. Simulator, Kafka, worker,
gateway and subscriber share the machine.
"""

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import msgspec
import numpy as np
import websockets

from benchmarks.broker import free_port
from benchmarks.record import keep

BOARDS = ("top_volume", "top_gappers", "top_gainers")
#: Seconds until caches are warm and every symbol has its reference data.
WARM_UP_S = 75.0
#: 2,000 symbols ask for 6,000 documents of reference data: all of them within the warm-up.
ENVIRONMENT = {"TAPEREADER_MARKET_START": "10:30", "TAPEREADER_REST_REQUESTS_PER_S": "500"}


@asynccontextmanager
async def platform(rate: int, symbols: int) -> AsyncIterator[str]:
    """`host:port` of the gateway of a running platform. Raises `TimeoutError`: not ready in two minutes."""
    ports = [free_port() for _ in range(4)]
    names = ("--http-port", "--redis-port", "--control-port", "--simulator-port")
    options = [text for name, port in zip(names, ports, strict=True) for text in (name, str(port))]
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, "-m", "app", "up", "--no-browser", "--data-dir", directory, *options]
        running = subprocess.Popen(
            [*command, "--kafka-port", str(free_port()), "--symbols", str(symbols), "--partitions", "4"],
            stdout=subprocess.DEVNULL,
            env=os.environ | ENVIRONMENT | {"TAPEREADER_EVENTS_PER_S": str(rate)},
        )
        try:
            async with httpx.AsyncClient(trust_env=False) as client, asyncio.timeout(120):
                while not await _serves(client, ports[0]):
                    await asyncio.sleep(0.5)
            yield f"127.0.0.1:{ports[0]}"
        finally:
            running.send_signal(signal.SIGINT)
            running.wait(60)


async def _serves(client: httpx.AsyncClient, port: int) -> bool:
    try:
        answer = await client.get(f"http://127.0.0.1:{port}/api/leaderboards/top_gainers?limit=1")
    except httpx.TransportError:
        return False
    return bool(answer.is_success and answer.json()["entries"])


async def ages(address: str, feeds: tuple[str, ...], seconds: float) -> dict[str, list[float]]:
    """Ages in ms of what arrives, by the kind of feed: of each row, and of the newest entry of each board."""
    found: dict[str, list[float]] = {"nbbo": [], "bars": [], "boards": []}
    async with websockets.connect(f"ws://{address}/ws", max_size=None, compression=None) as socket:
        for feed in feeds:
            await socket.send(json.dumps({"action": "subscribe", "feed": feed}))
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            document: Any = msgspec.json.decode(await socket.recv())
            now_ns = time.time_ns()
            if isinstance(document, list):
                received = [entry["received_ns"] for entry in document if entry.get("received_ns")]
                found["boards"] += [(now_ns - max(received)) / 1e6] if received else []
            elif "received_ns" in document:
                kind = "nbbo" if "bid_price" in document else "bars"
                found[kind].append((now_ns - document["received_ns"]) / 1e6)
    return found


async def measure(rate: int, symbols: int, seconds: float) -> dict[str, Any]:
    """One run's figures."""
    async with platform(rate, symbols) as address:
        print(f"serving at {address}, warming up", flush=True)
        await asyncio.sleep(WARM_UP_S)
        found = await ages(address, ("nbbo:*", "quote:*", *(f"scanners:{board}" for board in BOARDS)), seconds)
    return {kind: percentiles(values) for kind, values in found.items()}


def percentiles(values: list[float]) -> dict[str, float]:
    """p50, p99 and p99.9 in ms of how many."""
    p50, p99, p999 = (round(float(np.percentile(values, q)), 1) for q in (50, 99, 99.9))
    return {"p50_ms": p50, "p99_ms": p99, "p999_ms": p999, "count": len(values)}


def main() -> None:
    """One run, printed and kept."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rate", type=int, default=10_000)
    arguments.add_argument("--symbols", type=int, default=2_000)
    arguments.add_argument("--seconds", type=float, default=30.0)
    given = arguments.parse_args()
    result = asyncio.run(measure(given.rate, given.symbols, given.seconds))
    keep("chain_latency", {"rate_per_s": given.rate, "symbols": given.symbols, **result})
    for kind, figures in result.items():
        print(f"{kind}: p50 {figures['p50_ms']} ms, p99 {figures['p99_ms']} ms over {figures['count']:,}")


if __name__ == "__main__":
    main()
