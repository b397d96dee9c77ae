"""The workspace in a real Chromium: widgets are added, moved, resized and removed; layouts are kept and shared."""

import re
from typing import Any

import pytest
from playwright.async_api import Browser, Locator, Page, expect

from tests.gateway_stack import GatewayProcess, Tables
from tests.page_stack import PAGE_MARKS, add_widget, market, publish, shot, symbols, widget

pytestmark = PAGE_MARKS
WIDE: Any = {"width": 1600, "height": 900}


async def place(each: Locator) -> dict[str, int]:
    """Where a widget is on the grid."""
    item = each.locator("xpath=ancestor::*[contains(@class, 'grid-stack-item')][last()]")
    return {name: int(await item.get_attribute(f"gs-{name}") or -1) for name in ("x", "y", "w", "h")}


async def open_page(chromium: Browser, url: str) -> Page:
    page = await chromium.new_page(viewport=WIDE, color_scheme="dark")
    await page.goto(url)
    return page


@pytest.mark.verify
async def test_a_widget_is_added_moved_resized_and_removed_by_keys_and_the_browser_keeps_it(
    chromium: Browser, page_gateway: GatewayProcess, page_tables: Tables
) -> None:
    await publish(page_tables, market(1))
    page = await open_page(chromium, page_gateway.url)
    await add_widget(page, "Halts")
    halts = widget(page, "halts")
    await expect(halts.locator(".grip")).to_be_focused()
    before = await place(halts)
    assert (before["x"], before["y"]) == (0, 24), "below the boards, which fill the window"
    await page.keyboard.press("ArrowRight")
    await page.keyboard.press("Shift+ArrowRight")
    await page.keyboard.press("Shift+ArrowUp")
    after = await place(halts)
    assert after == {"x": 1, "y": 24, "w": before["w"] + 1, "h": before["h"] - 1}
    await expect(page.locator(".unseen")).to_contain_text("Column 2, row 25")
    await page.reload()
    assert await place(halts) == after
    await halts.get_by_role("button", name="Remove Halts").click()
    await expect(halts).to_have_count(0)
    await page.reload()
    await expect(widget(page, "board")).to_have_count(3)
    await expect(halts).to_have_count(0)


@pytest.mark.verify
async def test_a_widget_is_moved_and_resized_by_the_pointer(
    chromium: Browser, page_gateway: GatewayProcess, page_tables: Tables
) -> None:
    await publish(page_tables, market(2))
    page = await open_page(chromium, page_gateway.url)
    gappers, gainers = page.locator("[data-board=top_gappers]"), page.locator("[data-board=top_gainers]")
    await expect(symbols(page, "top_gainers").first).to_be_visible()
    assert [(await place(each))["x"] for each in (gappers, gainers)] == [6, 12]
    box = await gappers.locator("h2").bounding_box()
    assert box is not None
    await page.mouse.move(box["x"] + 5, box["y"] + 5)
    await page.mouse.down()
    await page.mouse.move(box["x"] + 200, box["y"] + 20, steps=8)
    await page.mouse.move(box["x"] + 420, box["y"] + 8, steps=12)
    await page.mouse.up()
    await expect(gappers).to_be_visible()
    assert (await place(gappers))["x"] >= 11
    symbol = widget(page, "symbol")
    before = await place(symbol)
    frame = await symbol.bounding_box()
    assert frame is not None
    await page.mouse.move(frame["x"] + frame["width"] - 4, frame["y"] + frame["height"] - 4)
    await page.mouse.down()
    await page.mouse.move(frame["x"] + frame["width"] - 4, frame["y"] + frame["height"] - 300, steps=10)
    await page.mouse.up()
    assert (await place(symbol))["h"] < before["h"] - 4
    moved = await place(gappers)
    await page.reload()
    assert await place(gappers) == moved


@pytest.mark.verify
async def test_a_layout_goes_by_link_and_is_kept_only_when_one_says_so(
    chromium: Browser, page_gateway: GatewayProcess, page_tables: Tables
) -> None:
    await publish(page_tables, market(3))
    page = await open_page(chromium, page_gateway.url)
    await page.get_by_role("button", name="Layouts").click()
    await page.get_by_role("button", name="All widgets").click()
    await expect(page.locator("[data-widget]")).to_have_count(8)
    await expect(page.get_by_label("Link to this layout")).to_have_value(re.compile("#layout="))
    link = await page.get_by_label("Link to this layout").input_value()
    assert len(link) < 1500
    await page.keyboard.press("Escape")
    await expect(page.locator("[data-widget]")).to_have_count(8)
    await shot(page, "page-all-widgets")

    context = await chromium.new_context(viewport=WIDE)
    other = await context.new_page()
    await other.goto(link)
    await expect(other.locator("[data-widget]")).to_have_count(8)
    await expect(other.locator(".notice")).to_contain_text("came with the link")
    assert await place(widget(other, "alerts")) == await place(widget(page, "alerts"))
    await other.get_by_role("button", name="Back to mine").click()
    await expect(other.locator("[data-widget]")).to_have_count(4)
    assert "#" not in other.url
    await other.goto("about:blank")
    await other.goto(link)
    await other.get_by_role("button", name="Keep it").click()
    await other.goto(page_gateway.url)
    await expect(other.locator("[data-widget]")).to_have_count(8)
    await other.get_by_role("button", name="Layouts").click()
    await other.get_by_role("dialog").get_by_role("button", name="My layout", exact=True).click()
    await expect(other.locator("[data-widget]")).to_have_count(4)


@pytest.mark.verify
async def test_a_link_that_holds_no_layout_says_so_and_shows_ones_own(
    chromium: Browser, page_gateway: GatewayProcess, page_tables: Tables
) -> None:
    await publish(page_tables, market(4))
    page = await chromium.new_page(viewport=WIDE)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    # Deflated: {"v": 1, "widgets": [{"kind": "iframe"}]}
    for part in ("nonsense", "%00%00", "A" * 70_000, "q1YqU7Iy1FEqz0xJTy0pVrKKrlbKzsxLUbJSykwrSsxNVaqNrQUA"):
        await page.goto("about:blank")
        await page.goto(f"{page_gateway.url}/#layout={part}")
        await expect(page.get_by_role("alert")).to_contain_text("no layout that can be read")
        await expect(page.locator("[data-widget]")).to_have_count(4)
    assert errors == []


@pytest.mark.verify
async def test_layouts_are_kept_by_name(chromium: Browser, page_gateway: GatewayProcess, page_tables: Tables) -> None:
    await publish(page_tables, market(5))
    page = await open_page(chromium, page_gateway.url)
    await page.get_by_role("button", name="Layouts").click()
    await page.get_by_label("Keep this one as").fill("Opening")
    await page.get_by_role("button", name="Keep", exact=True).click()
    await page.get_by_role("button", name="All widgets").click()
    await expect(page.locator("[data-widget]")).to_have_count(8)
    await page.get_by_role("dialog").get_by_role("button", name="My layout", exact=True).click()
    await expect(page.locator("[data-widget]")).to_have_count(4)
    await page.get_by_role("dialog").get_by_role("button", name="Opening", exact=True).click()
    await page.reload()
    await expect(page.locator("[data-widget]")).to_have_count(8)
    await page.get_by_role("button", name="Layouts").click()
    await page.get_by_role("button", name="Forget Opening").click()
    await page.reload()
    await expect(page.locator("[data-widget]")).to_have_count(4)
