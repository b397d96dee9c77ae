"""The page as axe sees it, in both themes, on a desk and on a phone; and by keys alone."""

import json
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from app.gateway.page.build import PAGE_DIR
from tests.gateway_stack import TEN_ET_MS, GatewayProcess, Tables
from tests.page_stack import PAGE_MARKS, market, publish, put_alert, put_halt, put_windows, shot, symbols, widget

pytestmark = PAGE_MARKS
AXE = PAGE_DIR / "node_modules" / "axe-core" / "axe.min.js"
WIDE: Any = {"width": 1680, "height": 1000}
PHONE: Any = {"width": 390, "height": 844}
ALL_WIDGETS: Any = [
    {"kind": kind, "x": x, "y": y, "w": 6, "h": 12}
    for kind, x, y in (
        ("board", 0, 0), ("windows", 6, 0), ("symbol", 12, 0), ("halts", 0, 12), ("alerts", 6, 12), ("scanner", 12, 12),
    )
]  # fmt: skip


async def violations(page: Page) -> list[str]:
    """What axe finds: rule, how bad, and where."""
    await page.evaluate(AXE.read_text(encoding="utf-8"))
    found = await page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    return [
        f"{each['id']} ({each['impact']}): {node['target']} {node['failureSummary']}"
        for each in found["violations"]
        for node in each["nodes"]
    ]


async def open_all(chromium: Browser, url: str, tables: Tables, theme: str, viewport: Any) -> Page:
    rows = market(50)
    order = await publish(tables, rows)
    await put_windows(tables, rows)
    await put_halt(tables, rows[0]["symbol"], TEN_ET_MS)
    await put_alert(tables, rows[1]["symbol"], "new_high", TEN_ET_MS + 50_000, 12.5, "Broke pre-market high of $12.40")
    page = await chromium.new_page(viewport=viewport, color_scheme=theme, reduced_motion="reduce")  # type: ignore[arg-type]
    kept = json.dumps({"current": "all", "layouts": {"all": {"v": 1, "widgets": ALL_WIDGETS}}})
    await page.add_init_script(f"localStorage.setItem('tapereader.layouts', {json.dumps(kept)})")
    await page.goto(url)
    await expect(symbols(page, "top_volume").first).to_have_text(order["top_volume"][0])
    await page.locator("[data-board=top_volume] tbody tr").first.click()
    await expect(widget(page, "symbol").locator(".last")).to_be_visible()
    await expect(widget(page, "alerts").locator("tbody tr").first).to_be_visible()
    await expect(widget(page, "halts").locator("tbody tr").first).to_be_visible()
    await page.mouse.move(2, 2)
    return page


@pytest.mark.parametrize("theme", ["dark", pytest.param("light", marks=pytest.mark.verify)])
async def test_axe_finds_nothing_wrong_with_any_widget(
    chromium: Browser, page_gateway: GatewayProcess, page_tables: Tables, theme: str
) -> None:
    page = await open_all(chromium, page_gateway.url, page_tables, theme, WIDE)
    assert await violations(page) == []
    for label in ("Settings of Top volume", "Settings of Alerts"):
        await page.get_by_label(label).click()
        assert await violations(page) == []
        await page.keyboard.press("Escape")
    await shot(page, f"page-axe-{theme}")


@pytest.mark.verify
@pytest.mark.parametrize("dialog", ["Add widget", "Layouts", "Keys"])
async def test_axe_finds_nothing_wrong_with_a_dialog(
    chromium: Browser, page_gateway: GatewayProcess, page_tables: Tables, dialog: str
) -> None:
    page = await open_all(chromium, page_gateway.url, page_tables, "dark", WIDE)
    button = page.get_by_role("button", name=dialog, exact=True)
    await button.click()
    await expect(page.get_by_role("dialog")).to_be_visible()
    assert await violations(page) == []
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await expect(button).to_be_focused()


@pytest.mark.verify
@pytest.mark.parametrize("theme", ["dark", "light"])
async def test_axe_finds_nothing_wrong_on_a_phone(
    chromium: Browser, page_gateway: GatewayProcess, page_tables: Tables, theme: str
) -> None:
    page = await open_all(chromium, page_gateway.url, page_tables, theme, PHONE)
    assert await page.evaluate("document.documentElement.scrollWidth") <= 390
    assert await violations(page) == []
    await shot(page, f"page-phone-{theme}")


@pytest.mark.verify
async def test_only_one_region_speaks_and_no_table_does(
    chromium: Browser, page_gateway: GatewayProcess, page_tables: Tables
) -> None:
    page = await open_all(chromium, page_gateway.url, page_tables, "dark", WIDE)
    assert await page.locator("[aria-live]").count() == 1
    assert await page.locator(".widget [aria-live], .widget [role=status], .widget [role=log]").count() == 0
    assert await page.locator(".scroll table[aria-label]").count() == 5


@pytest.mark.verify
async def test_the_theme_is_chosen_and_kept(
    chromium: Browser, page_gateway: GatewayProcess, page_tables: Tables
) -> None:
    await publish(page_tables, market(51))
    page = await chromium.new_page(viewport=WIDE, color_scheme="dark")
    await page.goto(page_gateway.url)
    background = "getComputedStyle(document.body).backgroundColor"
    dark = await page.evaluate(background)
    await page.get_by_role("button", name="Theme: system").click()
    await page.get_by_role("button", name="Theme: dark").click()
    await expect(page.get_by_role("button", name="Theme: light")).to_be_visible()
    light = await page.evaluate(background)
    assert light != dark
    await page.reload()
    await expect(page.get_by_role("button", name="Theme: light")).to_be_visible()
    assert await page.evaluate(background) == light
