"""The built page in a real Chromium, on a gateway and a broker: rows, changes, pause, quote, reconnect."""

import random
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

from app.gateway import build_page
from app.topic_admin import ensure_topics
from app.topics import ALL_TOPICS
from tests.gateway_stack import TEN_ET_MS, GatewayProcess, Tables, quote_row

CHROMIUM = Path("/usr/bin/chromium")
ARTIFACTS = Path(__file__).parents[1] / ".artifacts"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
SCORES = {"top_volume": "accumulated_volume", "top_gappers": "pct_change", "top_gainers": "pct_change_since_open"}

pytestmark = [
    pytest.mark.skipif(not CHROMIUM.exists(), reason="Chromium is not installed"),
    pytest.mark.timeout(240),
]


def market(seed: int, size: int = 60) -> list[dict[str, Any]]:
    """Rows whose figures fit together, the same for the same seed."""
    chance = random.Random(seed)
    rows = []
    for number in range(size):
        previous = round(chance.uniform(0.5, 300), 2)
        opened, close = (round(previous * (1 + chance.gauss(0.03, 0.08)), 2) for _ in range(2))
        volume, average = chance.randrange(20_000, 60_000_000), chance.randrange(200_000, 40_000_000)
        rows.append(
            quote_row(
                f"{chr(65 + number % 26)}{chr(65 + number // 26)}PX", close=close, open=opened, prev_day_close=previous,
                accumulated_volume=float(volume), avg_volume=float(average), relative_volume=volume / average,
                change=close - previous, pct_change=(close / previous - 1) * 100, change_since_open=close - opened,
                pct_change_since_open=(close / opened - 1) * 100, end_timestamp=TEN_ET_MS + seed * 1000,
                free_float=None if number % 3 else volume * 7.0,
            )
        )  # fmt: skip
    return rows


async def publish(tables: Tables, rows: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Write the rows and the three boards; each board's symbols, best first."""
    for row in rows:
        await tables.quote(**row)
    order = {}
    for board, score in SCORES.items():
        best = sorted(rows, key=lambda row: (-row[score], row["symbol"]))
        await tables.board(board, best)
        order[board] = [row["symbol"] for row in best]
    return order


@pytest.fixture(scope="module")
def built() -> None:
    build_page.build()


@pytest.fixture
async def tables(broker_url: str) -> AsyncIterator[Tables]:
    await ensure_topics(broker_url, ALL_TOPICS, 4)
    async with Tables(broker_url) as writer:
        yield writer


@pytest.fixture
def gateway(built: None, tables: Tables, broker_url: str, tmp_path: Path) -> Iterator[GatewayProcess]:
    process = GatewayProcess(broker_url, tmp_path / "gateway.log").start()
    yield process
    process.stop()


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        opened = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield opened
        await opened.close()


def symbols(page: Page, board: str) -> Any:
    return page.locator(f"[data-board={board}] tbody th")


async def shot(page: Page, name: str) -> None:
    ARTIFACTS.mkdir(exist_ok=True)
    await page.screenshot(path=ARTIFACTS / f"{name}.png")


async def test_the_page_shows_the_boards_live_and_comes_back_after_a_restart(
    browser: Browser, gateway: GatewayProcess, tables: Tables
) -> None:
    first = await publish(tables, market(1))
    errors: list[str] = []
    page = await browser.new_page(viewport={"width": 1600, "height": 900}, color_scheme="dark")
    page.on("pageerror", lambda error: errors.append(str(error)))
    answer = await page.goto(gateway.url)
    assert answer is not None
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    for board, order in first.items():
        await expect(symbols(page, board)).to_have_text(order[:25])
    await expect(page.locator(".light")).to_have_text("Live")
    await expect(page.locator(".strip")).to_contain_text("Market open")
    await expect(page.locator(".strip")).to_contain_text("10:00:01")
    second = await publish(tables, market(2))
    for board, order in second.items():
        assert order[:25] != first[board][:25]
        await expect(symbols(page, board)).to_have_text(order[:25])
    await shot(page, "page-boards")

    await page.select_option("select", "10")
    await expect(symbols(page, "top_gainers")).to_have_text(second["top_gainers"][:10])
    await page.keyboard.press("Escape")
    await page.locator("body").click(position={"x": 700, "y": 880})
    await page.keyboard.press("Space")
    await expect(page.locator(".pause")).to_have_attribute("aria-pressed", "true")
    third = await publish(tables, market(3))
    await expect(page.locator("[data-board=top_volume] .count")).to_contain_text("waiting")
    assert await symbols(page, "top_volume").all_inner_texts() == second["top_volume"][:10]
    await page.locator(".pause").click()
    await expect(symbols(page, "top_volume")).to_have_text(third["top_volume"][:10])

    gateway.stop()
    await expect(page.locator(".light")).to_have_attribute("data-state", "lost")
    await shot(page, "page-lost")
    fourth = await publish(tables, market(4))
    gateway.start()
    await expect(page.locator(".light")).to_have_text("Live", timeout=40_000)
    await expect(symbols(page, "top_gappers")).to_have_text(fourth["top_gappers"][:10])
    assert errors == []


async def test_a_row_opens_its_quote_and_a_symbol_can_be_searched(
    browser: Browser, gateway: GatewayProcess, tables: Tables
) -> None:
    order = await publish(tables, market(5))
    page = await browser.new_page(viewport={"width": 1600, "height": 900}, color_scheme="light")
    await page.goto(gateway.url)
    chosen = order["top_gappers"][2]
    await page.locator(f"[data-board=top_gappers] tr[data-symbol={chosen}]").click()
    panel = page.locator(".detail")
    await expect(panel.locator("h2")).to_have_text(chosen)
    await tables.quote(chosen, close=123.45, end_timestamp=TEN_ET_MS + 9000)
    await expect(panel.locator(".last")).to_have_text("123.45")
    await expect(panel).to_contain_text("10:00:09 ET")
    await shot(page, "page-quote")
    last = order["top_volume"][-1]
    await page.keyboard.press("/")
    await page.keyboard.type(last.lower())
    await expect(page.locator("[data-board=top_volume] .empty")).to_contain_text("No symbol on this board matches")
    await page.keyboard.press("Enter")
    await expect(panel.locator("h2")).to_have_text(last)
    await page.keyboard.press("Escape")
    await page.keyboard.press("Escape")
    await expect(panel).to_have_count(0)


async def test_columns_sort_and_say_so_and_arrows_walk_the_rows(
    browser: Browser, gateway: GatewayProcess, tables: Tables
) -> None:
    rows = market(6)
    order = await publish(tables, rows)
    page = await browser.new_page(viewport={"width": 1600, "height": 900})
    await page.goto(gateway.url)
    board = page.locator("[data-board=top_volume]")
    await expect(symbols(page, "top_volume")).to_have_text(order["top_volume"][:25])
    await board.get_by_role("button", name="Symbol").click()
    await expect(symbols(page, "top_volume")).to_have_text(sorted(order["top_volume"][:25]))
    await expect(board.locator("thead th").nth(1)).to_have_attribute("aria-sort", "ascending")
    await expect(board.locator("thead th").first).to_have_attribute("aria-sort", "none")
    await board.locator("tbody tr").first.focus()
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Enter")
    await expect(page.locator(".detail h2")).to_have_text(sorted(order["top_volume"][:25])[1])


async def test_a_phone_shows_everything_within_its_width(
    browser: Browser, gateway: GatewayProcess, tables: Tables
) -> None:
    order = await publish(tables, market(7))
    page = await browser.new_page(viewport={"width": 390, "height": 844}, color_scheme="dark")
    await page.goto(gateway.url)
    await expect(symbols(page, "top_volume")).to_have_text(order["top_volume"][:25])
    assert await page.evaluate("document.documentElement.scrollWidth") <= 390
    wide = await page.locator("[data-board=top_volume] .scroll").evaluate("each => each.scrollWidth - each.clientWidth")
    assert wide <= 0
    await shot(page, "page-phone")


async def test_a_gateway_with_a_key_asks_for_it(
    browser: Browser, built: None, tables: Tables, broker_url: str, tmp_path: Path
) -> None:
    order = await publish(tables, market(8))
    process = GatewayProcess(broker_url, tmp_path / "gateway.log", gateway_api_key="secret-of-the-house").start()
    try:
        page = await browser.new_page()
        await page.goto(process.url)
        form = page.get_by_role("form", name="API key")
        await form.get_by_label("API key").fill("wrong")
        await form.get_by_role("button").click()
        await expect(form).to_contain_text("not accepted")
        await form.get_by_label("API key").fill("secret-of-the-house")
        await form.get_by_role("button").click()
        await expect(symbols(page, "top_volume")).to_have_text(order["top_volume"][:25])
        await expect(form).to_have_count(0)
    finally:
        process.stop()
