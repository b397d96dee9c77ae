"""The page in a real browser, on a real gateway and a real Kafka."""

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pytest
from aiokafka import AIOKafkaProducer
from playwright.async_api import Browser, ConsoleMessage, Locator, Page, async_playwright, expect

from app.market.boards import Leaderboard, ranked
from app.market.rows import QuoteRow
from app.topic_admin import ensure_topics
from app.topics import ALL_TOPICS, LEADERBOARDS, MARKET_QUOTES
from tests.conftest import free_port

CHROMIUM = Path("/usr/bin/chromium")
ARTIFACTS = Path(__file__).parents[1] / ".artifacts"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
DAY, NINE_FORTY_ET_MS = "2026-11-20", 1_795_185_600_000
SCORES = {
    "top_volume": "accumulated_volume",
    "top_gappers": "pct_open_gap",
    "top_gainers": "pct_change",
}

#: Serves the source page: a build that happens to be in the tree is another page.
SERVE = """
from pathlib import Path
import app.gateway.api as api
api.BUILD_DIR = Path(api.__file__).parent / "static"
from app.gateway.server import run
from app.settings import Settings
run(Settings.load())
"""

pytestmark = [
    pytest.mark.skipif(not CHROMIUM.exists(), reason="Chromium is not installed"),
    pytest.mark.timeout(120),
]


def market(seed: int, size: int = 60) -> list[QuoteRow]:
    """Rows of a made-up market whose figures fit together."""
    chance = random.Random(seed)
    rows = []
    for number in range(size):
        previous = round(chance.uniform(2, 400), 2)
        opened = round(previous * (1 + chance.gauss(0.02, 0.06)), 2)
        last = round(opened * (1 + chance.gauss(0, 0.04)), 2)
        volume, average = float(chance.randrange(20_000, 60_000_000)), float(chance.randrange(200_000, 40_000_000))
        rows.append(
            QuoteRow(
                symbol="".join(chr(65 + number // 26**place % 26) for place in (2, 1, 0)) + "X",
                day=DAY, opened_regular=True, volume=1200.0, accumulated_volume=volume, official_open_price=opened,
                vwap=last, open=opened, close=last, high=max(opened, last), low=min(opened, last), aggregate_vwap=last,
                average_size=80.0, start_timestamp=NINE_FORTY_ET_MS, end_timestamp=NINE_FORTY_ET_MS + seed * 1000,
                prev_day_close=previous, avg_volume=average, change=last - previous,
                pct_change=(last / previous - 1) * 100, change_since_open=last - opened,
                pct_change_since_open=(last / opened - 1) * 100, relative_volume=volume / average,
                pct_open_gap=(opened / previous - 1) * 100,
            )
        )  # fmt: skip
    return rows


async def publish(broker_url: str, rows: list[QuoteRow]) -> dict[str, list[str]]:
    """Write the rows and the boards over them; each board's symbols, best first."""
    order: dict[str, list[str]] = {}
    async with AIOKafkaProducer(bootstrap_servers=broker_url) as producer:
        for row in rows:
            await producer.send(MARKET_QUOTES.name, msgspec.json.encode(row), row.symbol.encode())
        for stamp, (board, score) in enumerate(SCORES.items(), 1):
            best = sorted(rows, key=lambda row: -getattr(row, score))
            entries = ranked([msgspec.Raw(msgspec.json.encode(row)) for row in best])
            value = msgspec.json.encode(Leaderboard(board, DAY, stamp, entries))
            await producer.send(LEADERBOARDS.name, value, board.encode())
            order[board] = [row.symbol for row in best]
        await producer.flush()
    return order


class Served:
    """A gateway as a process of its own, which can be ended and started again on its port."""

    def __init__(self, broker_url: str, log: Path) -> None:
        self.port, self._log, self._broker_url = free_port(), log, broker_url
        self.url = f"http://127.0.0.1:{self.port}/"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it is ready."""
        environment = {
            "PATH": "/usr/bin:/bin",
            "TAPEREADER_HTTP_PORT": str(self.port),
            "KAFKA_BOOTSTRAP_SERVERS": self._broker_url,
        }
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", SERVE], env=environment, stdout=log, stderr=log, cwd=Path(__file__).parents[2]
            )
        deadline = time.monotonic() + 40
        while not self._ready():
            assert time.monotonic() < deadline, self._log.read_text()[-2000:]
            time.sleep(0.1)

    def stop(self) -> None:
        """End it, and wait for its end."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)
            self._process = None

    def _ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}readyz", timeout=2).status_code == 200
        except httpx.TransportError:
            return False


@pytest.fixture
def served(broker_url: str, tmp_path: Path) -> Iterator[Served]:
    """A gateway over tables that are there."""
    gateway = Served(broker_url, tmp_path / "gateway.log")
    try:
        yield gateway
    finally:
        gateway.stop()


def symbols(page: Page, board: str) -> Locator:
    """The symbols that a board shows, top down."""
    return page.locator(f"[data-board={board}] tbody th button")


async def opened(browser: Browser, url: str, errors: list[str]) -> Page:
    """The page, dark, at a desk's size; what it complains about goes to `errors`."""

    def note(message: ConsoleMessage) -> None:
        # A connection that is refused while the gateway is away is what the test is about.
        if message.type == "error" and "WebSocket" not in message.text:
            errors.append(message.text)

    page = await browser.new_page(viewport={"width": 1440, "height": 860}, color_scheme="dark")
    page.on("console", note)
    page.on("pageerror", lambda error: errors.append(str(error)))
    await page.goto(url)
    return page


async def test_the_page_follows_the_boards_and_comes_back_after_the_gateway(broker_url: str, served: Served) -> None:
    await ensure_topics(broker_url, ALL_TOPICS, 4)
    first = await publish(broker_url, market(1))
    served.start()
    errors: list[str] = []
    ARTIFACTS.mkdir(exist_ok=True)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = await opened(browser, served.url, errors)
        for board, order in first.items():
            await expect(symbols(page, board)).to_have_text(order[:20])
        second = await publish(broker_url, market(2))
        for board, order in second.items():
            assert order[:20] != first[board][:20]
            await expect(symbols(page, board)).to_have_text(order[:20])
        await expect(page.locator("#updated")).to_have_text("09:40:02 ET")
        await page.screenshot(path=ARTIFACTS / "boards.png")
        await page.fill("#filter", second["top_volume"][30].lower())
        await expect(symbols(page, "top_volume")).to_have_text([second["top_volume"][30]])
        await page.fill("#filter", "")
        await page.locator("[data-board=top_gappers] tbody tr").nth(1).click()
        await expect(page.locator("#quote-symbol")).to_have_text(second["top_gappers"][1])
        await expect(page.locator("#quote .asof")).to_contain_text("09:40:02 ET")
        await page.screenshot(path=ARTIFACTS / "quote.png")
        await page.keyboard.press("Escape")
        served.stop()
        await expect(page.locator("#connection")).to_have_text("Reconnecting")
        third = await publish(broker_url, market(3))
        served.start()
        await expect(page.locator("#connection")).to_have_text("Live", timeout=40_000)
        await expect(symbols(page, "top_gainers")).to_have_text(third["top_gainers"][:20])
        await page.set_viewport_size({"width": 390, "height": 844})
        assert await page.evaluate("document.documentElement.scrollWidth") <= 390
        await page.screenshot(path=ARTIFACTS / "phone.png")
        await browser.close()
    assert errors == []
