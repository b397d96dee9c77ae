"""The whole platform from one command, seen in a real Chromium: all three boards move."""

from pathlib import Path

import pytest
from playwright.async_api import Page, async_playwright, expect

from tests.eventually import eventually
from tests.running_up import running

CHROMIUM = Path("/usr/bin/chromium")
ARTIFACTS = Path(__file__).parents[2] / ".artifacts"
BOARDS = ("top_volume", "top_gappers", "top_gainers")

pytestmark = [
    pytest.mark.verify,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="Chromium is not installed"),
    pytest.mark.timeout(240),
]


async def rows(page: Page, board: str) -> list[str]:
    """The texts of a board's rows."""
    return await page.locator(f"[data-board={board}] tbody tr").all_inner_texts()


async def see_boards_move(page: Page, address: str) -> None:
    """All three boards have rows on the page, and they change."""
    await page.goto(address)
    first = {}
    for board in BOARDS:
        await expect(page.locator(f"[data-board={board}] tbody tr").nth(9)).to_be_visible(timeout=60_000)
        first[board] = await rows(page, board)
    for board in BOARDS:

        async def changed(board: str = board) -> bool:
            return await rows(page, board) != first[board]

        await eventually(changed, timeout_s=30)


async def test_one_command_brings_live_boards_to_the_page_and_a_second_one_goes_on(tmp_path: Path) -> None:
    """The second start has the first one's data; its market goes on after it, not before."""
    market = ("simulator", "--symbols", "60", "--seed", "7")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        errors: list[str] = []
        page = await browser.new_page(viewport={"width": 1600, "height": 900}, color_scheme="dark")
        page.on("pageerror", lambda error: errors.append(str(error)))
        for _ in ("first", "second"):
            async with running(tmp_path / "data", *market) as up:
                await see_boards_move(page, f"http://127.0.0.1:{up.http_port}/")
                ARTIFACTS.mkdir(exist_ok=True)
                await page.screenshot(path=ARTIFACTS / "first-light.png")
        assert errors == []
        await browser.close()
