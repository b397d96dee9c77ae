"""A gateway as a process of its own on a real broker, and what writes the public tables for it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
from aiokafka import AIOKafkaProducer

from app.kafka.topics import LEADERBOARDS, MARKET_QUOTES, TopicSpec
from tests.conftest import free_port

DAY = "2026-11-20"
TEN_ET_MS = 1_795_186_800_000


def quote_row(symbol: str, **fields: Any) -> dict[str, Any]:
    """A row of `market.quotes`."""
    row = {
        "symbol": symbol, "day": DAY, "opened_regular": True, "volume": 100.0, "accumulated_volume": 10_000.0,
        "official_open_price": 10.0, "vwap": 10.1, "open": 10.0, "close": 10.5, "high": 10.6, "low": 10.4,
        "aggregate_vwap": 10.2, "average_size": 50.0, "start_timestamp": TEN_ET_MS, "end_timestamp": TEN_ET_MS + 1000,
        "prev_day_close": 10.0, "avg_volume": 20_000.0, "free_float": None, "change": 0.5, "pct_change": 5.0,
        "change_since_open": 0.5, "pct_change_since_open": 5.0, "relative_volume": 0.5, "received_ns": time.time_ns(),
    }  # fmt: skip
    return row | fields


def board_record(board: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """A record of `market.leaderboards`: the rows in this order."""
    entries = [{"rank": rank, **row} for rank, row in enumerate(rows, 1)]
    return {"board": board, "day": DAY, "published_ns": time.time_ns(), "entries": entries}


class Tables:
    """Writes the public tables as the workers do."""

    def __init__(self, bootstrap_servers: str) -> None:
        self._producer = AIOKafkaProducer(bootstrap_servers=bootstrap_servers, max_request_size=16 * 1024 * 1024)

    async def __aenter__(self) -> "Tables":
        await self._producer.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._producer.stop()

    async def put(self, spec: TopicSpec, key: str, value: Any) -> None:
        """Write a record; None deletes."""
        encoded = None if value is None else json.dumps(value).encode()
        await self._producer.send_and_wait(spec.name, encoded, key.encode())

    async def put_bytes(self, spec: TopicSpec, pairs: list[tuple[bytes, bytes]]) -> None:
        """Write many records of bytes."""
        for key, value in pairs:
            await self._producer.send(spec.name, value, key)
        await self._producer.flush()

    async def quote(self, symbol: str, **fields: Any) -> dict[str, Any]:
        """Write a symbol's row."""
        row = quote_row(symbol, **fields)
        await self.put(MARKET_QUOTES, symbol, row)
        return row

    async def board(self, board: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
        """Write a board."""
        record = board_record(board, rows)
        await self.put(LEADERBOARDS, board, record)
        return record


class GatewayProcess:
    """`python -m app.gateway.server` on a port of its own."""

    def __init__(self, bootstrap_servers: str, log_path: Path, port: int | None = None, **settings: Any) -> None:
        self.port = port or free_port()
        self._log_path = log_path
        self._environment = os.environ | {
            "KAFKA_BOOTSTRAP_SERVERS": bootstrap_servers,
            "TAPEREADER_HTTP_PORT": str(self.port),
            **{f"TAPEREADER_{name.upper()}": str(value) for name, value in settings.items()},
        }
        self.process: subprocess.Popen[bytes] | None = None
        self.answer = "not asked yet"

    @property
    def url(self) -> str:
        """Base URL of its HTTP side."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws_url(self) -> str:
        """URL of its WebSocket."""
        return f"ws://127.0.0.1:{self.port}/ws"

    def start(self) -> "GatewayProcess":
        """Start it and wait until it is ready."""
        self.launch()
        assert self.process is not None
        try:
            self._wait(time.monotonic() + 50)
        except BaseException:
            self.process.kill()
            self.process.wait(10)
            raise
        return self

    def _wait(self, deadline: float) -> None:
        assert self.process is not None
        while not self._ready():
            tail = self._log_path.read_text(errors="replace")[-2000:]
            assert self.process.poll() is None, f"the gateway ended: {tail}"
            assert time.monotonic() < deadline, f"the gateway was not ready in time: {self.answer}; {tail}"
            time.sleep(0.05)

    def log(self) -> str:
        """What it has logged."""
        return self._log_path.read_text(encoding="utf-8", errors="replace")

    def launch(self) -> None:
        """Start it, without waiting."""
        with self._log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "app.gateway.server"], env=self._environment, stdout=log, stderr=log
            )

    def stop(self, timeout_s: float = 20.0) -> int:
        """Stop it in order; its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout_s)

    def _ready(self) -> bool:
        try:
            response = httpx.get(f"{self.url}/readyz", timeout=2)
        except httpx.TransportError as error:
            self.answer = repr(error)
            return False
        self.answer = response.text
        return response.status_code == 200
