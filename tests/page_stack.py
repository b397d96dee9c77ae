"""The built page in a real Chromium on a gateway of its own; what the page shows is written to the real topics."""

import asyncio
import fcntl
import os
import random
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Locator, Page, async_playwright

from app.gateway.page.build import build as build_page
from app.kafka import topics
from app.kafka.admin import ensure_topics
from app.market.trade_tape import TapePartition, WindowTrade
from tests.conftest import free_port
from tests.gateway_stack import TEN_ET_MS, GatewayProcess, Tables, quote_row

CHROMIUM = Path("/usr/bin/chromium")
ARTIFACTS = Path(__file__).parent / ".artifacts"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
SCORES = {"top_volume": "accumulated_volume", "top_gappers": "pct_change", "top_gainers": "pct_change_since_open"}
#: Marks of every module that opens the page.
PAGE_MARKS = [
    pytest.mark.skipif(not CHROMIUM.exists(), reason="Chromium is not installed"),
    pytest.mark.timeout(240),
]
REASONS = ("trading halt or pause", "news pending", "volatility pause")


def figures(symbol: str, chance: random.Random, at_ms: int) -> dict[str, Any]:
    """A row whose figures fit together."""
    previous = round(chance.uniform(0.5, 300), 2)
    opened, close = (round(previous * (1 + chance.gauss(0.03, 0.08)), 2) for _ in range(2))
    volume, average = chance.randrange(20_000, 60_000_000), chance.randrange(200_000, 40_000_000)
    return quote_row(
        symbol, close=close, open=opened, prev_day_close=previous, high=close, low=close, volume=100.0,
        accumulated_volume=float(volume), avg_volume=float(average), relative_volume=volume / average,
        change=close - previous, pct_change=(close / previous - 1) * 100, change_since_open=close - opened,
        pct_change_since_open=(close / opened - 1) * 100, aggregate_vwap=round((opened + close) / 2, 2),
        prev_day_high=round(previous * 1.02, 2), prev_day_low=round(previous * 0.97, 2),
        dollar_volume=volume * (opened + close) / 2, pct_open_gap=(opened / previous - 1) * 100,
        start_timestamp=at_ms - 1000, end_timestamp=at_ms,
        free_float=None if chance.random() < 0.3 else float(volume * 7),
    )  # fmt: skip


def names(size: int) -> list[str]:
    """Symbols that are no words."""
    return [f"{chr(65 + number % 26)}{chr(65 + number // 26)}PX" for number in range(size)]


def market(seed: int, size: int = 60) -> list[dict[str, Any]]:
    """The rows of a market, the same for the same seed; a later seed is a later second."""
    chance = random.Random(seed)
    return [figures(symbol, chance, TEN_ET_MS + seed * 1000) for symbol in names(size)]


async def publish(tables: Tables, rows: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Write the rows and the three boards; each board's symbols, best first."""
    await asyncio.gather(*(tables.quote(**row) for row in rows))
    return await publish_boards(tables, rows)


async def publish_boards(tables: Tables, rows: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Write the three boards of these rows; each board's symbols, best first."""
    order = {}
    for board, score in SCORES.items():
        best = sorted(rows, key=lambda row: (-row[score], row["symbol"]))
        await tables.board(board, best)
        order[board] = [row["symbol"] for row in best]
    return order


async def put_windows(tables: Tables, rows: list[dict[str, Any]]) -> None:
    """Write the summary of the trade windows: volumes as those of the rows."""
    statistics = {
        row["symbol"]: {
            "total_volume": row["accumulated_volume"] // 100, "trade_count": 900 + place, "avg_size": 88.5 + place,
            "max_size": 5000.0, "time_span_ms": 42_000, "latest_price": row["close"],
            "latest_timestamp": row["end_timestamp"], "latest_exchange": 11,
        }
        for place, row in enumerate(rows)
    }  # fmt: skip
    summary = {"timestamp": "2026-11-20T15:00:01+00:00", "symbols": statistics, "symbol_count": len(rows)}
    await tables.put(topics.TRADE_WINDOWS, "*", summary)


async def put_nbbo(tables: Tables, symbol: str, bid: float, ask: float) -> None:
    """Write a symbol's best bid and offer."""
    row = {
        "symbol": symbol, "bid_price": bid, "bid_size": 300.0, "bid_exchange": 11, "ask_price": ask, "ask_size": 200.0,
        "ask_exchange": 12, "spread": round(ask - bid, 4), "mid": round((ask + bid) / 2, 4),
        "timestamp": TEN_ET_MS, "sequence_number": 1,
    }  # fmt: skip
    await tables.put(topics.NBBO, symbol, row)


async def put_ranges(tables: Tables, symbol: str, low: float, high: float) -> None:
    """Write a symbol's ranges: pre-market and regular session."""
    row = {
        "symbol": symbol, "day": "2026-11-20", "pre_market_high": high - 1, "pre_market_low": low + 1,
        "regular_session_high": high, "regular_session_low": low, "after_hours_high": None, "after_hours_low": None,
        "raised": [], "last_alert_ms": {},
    }  # fmt: skip
    await tables.put(topics.DAILY_RANGES, symbol, row)


async def put_halt(
    tables: Tables, symbol: str, since_ms: int | None, reason: str = REASONS[0], *, tape: int = 3
) -> None:
    """Write a symbol's halt, or its end where `since_ms` is None."""
    row = {
        "symbol": symbol, "upper_band": 110.0, "lower_band": 90.0, "indicators": [17], "timestamp": since_ms or 0,
        "sequence_number": 1, "halted_since": since_ms, "reason": reason, "resumed_at": None,
        "day": "2026-11-20", "tape": tape, "halts_told": tape == 3,
    }  # fmt: skip
    await tables.put(topics.MARKET_HALTS, symbol, row)


async def put_tape(tables: Tables, symbol: str, trades: Sequence[tuple[float, float, int]]) -> None:
    """Write a symbol's tape of trades given as price, shares and epoch ms."""
    partition = TapePartition()
    partition.fold(
        [
            WindowTrade(symbol, price=price, size=float(size), timestamp=at_ms, sequence_number=number)
            for number, (price, size, at_ms) in enumerate(trades, 1)
        ]
    )
    pairs = [(key.encode(), data) for key, data in partition.take_changes().items() if data is not None]
    await tables.put_bytes(topics.TRADE_TAPE, pairs)


async def put_alert(
    tables: Tables, symbol: str, kind: str, at_ms: int, value: float | None, note: str, name: str = ""
) -> None:
    """Write an alert."""
    alert = {
        "key": f"{symbol}/{kind}/{at_ms}/{name}", "symbol": symbol, "kind": kind, "timestamp": at_ms, "value": value,
        "note": note, "session": "regular", "previous": None, "row": None,
    }  # fmt: skip
    await tables.put(topics.ALERTS, symbol, alert)


def widget(page: Page, kind: str) -> Locator:
    """The widgets of a kind."""
    return page.locator(f"[data-kind={kind}]")


#: Rows of a board that tests compare: of long ones those that cannot be seen are not drawn.
COMPARED = 15


def symbols(page: Page, board: str) -> Locator:
    """The first `COMPARED` symbols of a board as they stand."""
    return page.locator(f"[data-board={board}] tbody tr:nth-child(-n+{COMPARED}) th")


async def add_widget(page: Page, title: str) -> None:
    """Add a widget by the page's dialog."""
    await page.get_by_role("button", name="Add widget").click()
    await page.get_by_role("dialog").get_by_role("button", name=re.compile(f"^{title}")).click()


async def shot(page: Page, name: str) -> None:
    """Keep a picture beside the tests."""
    ARTIFACTS.mkdir(exist_ok=True)
    await page.screenshot(path=ARTIFACTS / f"{name}.png")


@pytest.fixture(scope="session")
def built_page(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The page is built of the present sources: by the first process that wants it, the others wait."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    with (shared / "page.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        build_page()


@pytest.fixture(scope="session")
def page_topics(broker_url: str) -> None:
    """The topics are there."""
    asyncio.run(ensure_topics(broker_url, topics.ALL_TOPICS, 4))


@pytest.fixture
async def page_tables(page_topics: None, broker_url: str) -> AsyncIterator[Tables]:
    """Writes the public tables."""
    async with Tables(broker_url) as writer:
        yield writer


@pytest.fixture(scope="session")
def page_gateway(
    built_page: None, page_topics: None, broker_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GatewayProcess]:
    """A gateway that serves the page to all tests of the session; none of them stops it."""
    process = GatewayProcess(broker_url, tmp_path_factory.mktemp("page") / "gateway.log").start()
    yield process
    process.stop()


@pytest.fixture
def own_gateway(built_page: None, page_topics: None, broker_url: str, tmp_path: Path) -> Iterator[GatewayProcess]:
    """A gateway of the test's own, to be stopped and started."""
    process = GatewayProcess(broker_url, tmp_path / "gateway.log").start()
    yield process
    process.stop()


@pytest.fixture
async def chromium() -> AsyncIterator[Browser]:
    """A Chromium of the test's own."""
    async with async_playwright() as playwright:
        opened = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield opened
        await opened.close()


class Line:
    """A TCP line between the browser and a gateway: it can be cut, and be slow.

    What the developer tools slow down are requests; a WebSocket that is open goes on at full speed. So the
    line itself is what is slow here.
    """

    def __init__(self, port: int) -> None:
        self._to = port
        self.port = free_port()
        #: Bytes a second towards the browser, and seconds that each piece is late; None for as fast as it goes.
        self.bytes_per_s: float | None = None
        self.late_s = 0.0
        self.refuses = False
        self._pipes: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """Where the browser goes."""
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> "Line":
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        for pipe in self._pipes:
            pipe.cancel()
        await asyncio.gather(*self._pipes, return_exceptions=True)

    def cut(self) -> None:
        """Cut every connection."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refuses:
            writer.transport.abort()
            return
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._to)
        self._writers |= {writer, far_writer}
        for pipe in (self._pipe(reader, far_writer, slow=False), self._pipe(far_reader, writer, slow=True)):
            task = asyncio.create_task(pipe)
            self._pipes.add(task)
            task.add_done_callback(self._pipes.discard)

    async def _pipe(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, slow: bool) -> None:
        try:
            while data := await reader.read(4096):
                if slow and self.bytes_per_s is not None:
                    await asyncio.sleep(self.late_s + len(data) / self.bytes_per_s)
                writer.write(data)
                await writer.drain()
        except (ConnectionError, RuntimeError):
            pass
        finally:
            writer.transport.abort()
            self._writers.discard(writer)
