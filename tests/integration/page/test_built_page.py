"""The built page in a real Chromium, on a gateway and a broker: boards, pause, search, restart, phone, key."""

from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from tests.gateway_stack import TEN_ET_MS, GatewayProcess, Tables
from tests.oidc_provider import CLIENT_ID, CLIENT_SECRET, Provider
from tests.page_stack import COMPARED, PAGE_MARKS, market, publish, shot, symbols, widget

pytestmark = PAGE_MARKS


async def test_the_page_shows_the_boards_live_and_comes_back_after_a_restart(
    chromium: Browser, own_gateway: GatewayProcess, page_tables: Tables
) -> None:
    first = await publish(page_tables, market(61))
    errors: list[str] = []
    page = await chromium.new_page(viewport={"width": 1600, "height": 900}, color_scheme="dark")
    page.on("pageerror", lambda error: errors.append(str(error)))
    answer = await page.goto(own_gateway.url)
    assert answer is not None
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    for board, order in first.items():
        await expect(symbols(page, board)).to_have_text(order[:COMPARED])
    await expect(page.locator(".light")).to_have_text("Live")
    await expect(page.locator(".strip")).to_contain_text("Market open")
    await expect(page.locator(".strip")).to_contain_text("10:01:01")
    second = await publish(page_tables, market(62))
    for board, order in second.items():
        assert order[:COMPARED] != first[board][:COMPARED]
        await expect(symbols(page, board)).to_have_text(order[:COMPARED])
    await shot(page, "page-boards")

    await page.locator("body").press("Space")
    pause = page.locator(".pause")
    await expect(pause).to_have_attribute("aria-pressed", "true")
    third = await publish(page_tables, market(63))
    await expect(page.locator("[data-board=top_volume] .count")).to_contain_text("updates waiting")
    await expect(pause).to_contain_text("waiting")
    assert await symbols(page, "top_volume").all_inner_texts() == second["top_volume"][:COMPARED]
    await pause.click()
    await expect(symbols(page, "top_volume")).to_have_text(third["top_volume"][:COMPARED])

    own_gateway.stop()
    await expect(page.locator(".light")).to_have_attribute("data-state", "lost")
    await shot(page, "page-lost")
    own_gateway.start()
    await expect(page.locator("main.disconnected")).to_have_count(0, timeout=60_000)
    fourth = await publish(page_tables, market(64))
    await expect(page.locator(".light")).to_have_text("Live", timeout=20_000)
    await expect(symbols(page, "top_gappers")).to_have_text(fourth["top_gappers"][:COMPARED])
    assert errors == []


@pytest.mark.verify
async def test_a_row_opens_its_quote_and_a_symbol_can_be_searched(
    chromium: Browser, page_gateway: GatewayProcess, page_tables: Tables
) -> None:
    order = await publish(page_tables, market(5))
    page = await chromium.new_page(viewport={"width": 1600, "height": 900}, color_scheme="light")
    await page.goto(page_gateway.url)
    panel = widget(page, "symbol")
    await expect(panel.locator("h2")).to_have_text(order["top_volume"][0])
    chosen = order["top_gappers"][2]
    await page.locator(f"[data-board=top_gappers] tr[data-symbol={chosen}]").click()
    await expect(panel.locator("h2")).to_have_text(chosen)
    await page_tables.quote(chosen, close=123.45, end_timestamp=TEN_ET_MS + 9000)
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
    await expect(page.locator("#search")).to_have_value("")
    await page.keyboard.press("Escape")
    await expect(panel).to_contain_text("Choose a row")


@pytest.mark.verify
async def test_a_phone_shows_everything_within_its_width(
    chromium: Browser, page_gateway: GatewayProcess, page_tables: Tables
) -> None:
    order = await publish(page_tables, market(7))
    page = await chromium.new_page(viewport={"width": 390, "height": 844}, color_scheme="dark", has_touch=True)
    await page.goto(page_gateway.url)
    await expect(symbols(page, "top_volume")).to_have_text(order["top_volume"][:COMPARED])
    await page.locator(f"[data-board=top_volume] tr[data-symbol={order['top_volume'][0]}]").tap()
    await expect(widget(page, "symbol").locator(".last")).to_be_visible()
    assert await page.evaluate("document.documentElement.scrollWidth") <= 390
    for board in order:
        scroll = page.locator(f"[data-board={board}] .scroll")
        assert await scroll.evaluate("each => each.scrollWidth - each.clientWidth") <= 0
    await shot(page, "page-phone")


@pytest.mark.verify
async def test_a_gateway_with_a_key_asks_for_it(
    chromium: Browser, built_page: None, page_tables: Tables, broker_url: str, tmp_path: Path
) -> None:
    order = await publish(page_tables, market(8))
    process = GatewayProcess(broker_url, tmp_path / "gateway.log", gateway_api_key="secret-of-the-house").start()
    try:
        page = await chromium.new_page()
        await page.goto(process.url)
        form = page.get_by_role("form", name="API key")
        await form.get_by_label("API key").fill("wrong")
        await form.get_by_role("button").click()
        await expect(form).to_contain_text("not accepted")
        await form.get_by_label("API key").fill("secret-of-the-house")
        await form.get_by_role("button").click()
        await expect(symbols(page, "top_volume")).to_have_text(order["top_volume"][:COMPARED])
        await expect(form).to_have_count(0)
    finally:
        process.stop()


@pytest.mark.verify
async def test_people_sign_in_at_a_provider_and_out_again(
    chromium: Browser, built_page: None, page_tables: Tables, broker_url: str, tmp_path: Path
) -> None:
    order = await publish(page_tables, market(9))
    async with Provider().served() as provider:
        process = GatewayProcess(
            broker_url, tmp_path / "gateway.log", gateway_oidc_issuer=provider.issuer,
            gateway_oidc_client_id=CLIENT_ID, gateway_oidc_client_secret=CLIENT_SECRET,
        ).start()  # fmt: skip
        try:
            page = await chromium.new_page()
            await page.goto(process.url)
            await page.get_by_role("link", name="Sign in").click()
            await expect(page.locator(".person")).to_contain_text("Ann Example")
            await expect(symbols(page, "top_volume")).to_have_text(order["top_volume"][:COMPARED])
            await page.get_by_role("button", name="Sign out").click()
            await expect(page.get_by_role("link", name="Sign in")).to_be_visible()
            await expect(page.locator("tbody th")).to_have_count(0)
        finally:
            process.stop()
