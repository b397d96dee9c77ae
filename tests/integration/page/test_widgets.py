"""Each widget of the page in a real Chromium, on the feeds of a real gateway."""

import random
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from tests.gateway_fixtures import until_served
from tests.gateway_stack import TEN_ET_MS, GatewayProcess, Tables
from tests.page_stack import (
    PAGE_MARKS,
    add_widget,
    figures,
    market,
    publish,
    put_alert,
    put_halt,
    put_nbbo,
    put_ranges,
    put_tape,
    put_windows,
    shot,
    symbols,
    widget,
)

pytestmark = PAGE_MARKS
SIZE: Any = {"width": 1600, "height": 1000}
#: Counts notes instead of playing them: a test machine has no loudspeaker.
NOTES = """() => { window.notes = 0; AudioContext.prototype.createOscillator = (function (own) {
  return function () { window.notes += 1; return own.call(this); } })(AudioContext.prototype.createOscillator); }"""


async def open_page(chromium: Browser, url: str, *titles: str) -> Page:
    page = await chromium.new_page(viewport=SIZE, color_scheme="dark")
    await page.add_init_script(f"({NOTES})()")
    await page.goto(url)
    for title in titles:
        await add_widget(page, title)
    return page


@pytest.mark.verify
async def test_trade_windows_stand_by_volume_and_follow_their_summary(
    chromium: Browser, page_gateway: GatewayProcess, page_tables: Tables
) -> None:
    rows = market(20)
    await put_windows(page_tables, rows)
    page = await open_page(chromium, page_gateway.url, "Trade windows")
    windows = widget(page, "windows")
    busiest = sorted(rows, key=lambda row: (-(row["accumulated_volume"] // 100), row["symbol"]))
    shown = windows.locator("tbody tr:nth-child(-n+8) th")
    await expect(shown).to_have_text([row["symbol"] for row in busiest[:8]])
    await expect(windows.locator(".count")).to_contain_text("of 60")
    # 900 trades and more in 42 s.
    await expect(windows.locator("tbody tr").first).to_contain_text(f"{(900 + rows.index(busiest[0])) / 0.7:,.0f}")
    for row in rows:
        row["accumulated_volume"] = 70_000_000.0 - row["accumulated_volume"]
    await put_windows(page_tables, rows)
    await expect(shown.first).to_have_text(busiest[-1]["symbol"])


async def test_a_symbol_shows_quote_ranges_spread_tape_chart_and_halt(
    chromium: Browser, page_gateway: GatewayProcess, page_tables: Tables
) -> None:
    row = figures("SYMA", random.Random(21), TEN_ET_MS + 21_000) | {"close": 100.5}
    await page_tables.quote(**row)
    await put_nbbo(page_tables, "SYMA", 100.49, 100.52)
    await put_ranges(page_tables, "SYMA", 95.0, 105.0)
    await put_halt(page_tables, "SYMA", None)
    trades = [(100.0 + place / 100, 100 + place, TEN_ET_MS + place * 500) for place in range(60)]
    await put_tape(page_tables, "SYMA", trades)
    page = await open_page(chromium, page_gateway.url)
    await expect(page.locator("#search")).to_be_visible()
    await page.keyboard.press("/")
    await page.keyboard.type("syma")
    await page.keyboard.press("Enter")
    panel = widget(page, "symbol")
    await expect(panel.locator("h2")).to_have_text("SYMA")
    await expect(panel.locator(".last")).to_have_text("100.50")
    await expect(panel.locator(".best")).to_contain_text("100.49")
    await expect(panel.locator(".best")).to_contain_text("0.03")
    await expect(panel.locator(".ranges")).to_contain_text("95.00")
    await expect(panel.locator(".ranges")).to_contain_text("105.00")
    tape = panel.locator(".tape tbody tr")
    await expect(tape).to_have_count(60)
    await expect(tape.first).to_contain_text("100.59")
    await expect(tape.first).to_contain_text("10:00:29")
    # 30 s of trades in candles of 10 s.
    await expect(panel.locator(".canvas")).to_have_attribute("data-candles", "3")
    await expect(panel.get_by_role("link", name="TradingView")).to_have_attribute(
        "href", "https://www.tradingview.com/"
    )
    assert await panel.locator(".canvas canvas").count() > 1
    await put_tape(page_tables, "SYMA", [*trades, (120.25, 700, TEN_ET_MS + 31_000)])
    await expect(tape.first).to_contain_text("120.25")
    await expect(panel.locator(".canvas")).to_have_attribute("data-candles", "4")
    await page.clock.set_fixed_time(TEN_ET_MS / 1000 + 33)
    await put_halt(page_tables, "SYMA", TEN_ET_MS + 32_000, "news pending")
    await expect(panel.locator(".halted")).to_have_text("Halted since 10:00:32 ET: news pending")
    await shot(page, "page-symbol")
    await page.clock.set_fixed_time(TEN_ET_MS / 1000 + 86_400)
    await put_halt(page_tables, "SYMA", TEN_ET_MS + 32_000, "volatility pause")
    await expect(panel.locator(".halted")).to_have_text("Halted since Nov 20, 10:00:32 ET: volatility pause")
    await expect(panel.locator(".untold")).to_have_count(0)
    await put_halt(page_tables, "SYMA", None, tape=1)
    await expect(panel.locator(".untold")).to_contain_text("Nasdaq-listed symbols only")
    await put_halt(page_tables, "SYMA", None)
    await expect(panel.locator(".halted")).to_have_count(0)
    # A widget that always shows one symbol does not follow the choice.
    await panel.get_by_label("Settings of SYMA").click()
    await panel.get_by_label("Always show").fill("SYMA")
    await panel.get_by_role("button", name="Set", exact=True).click()
    await page.keyboard.press("Escape")
    await page.keyboard.press("Escape")
    await expect(panel.locator("h2")).to_have_text("SYMA")


@pytest.mark.verify
async def test_a_symbol_that_nobody_knows_says_so(
    chromium: Browser, page_gateway: GatewayProcess, page_tables: Tables
) -> None:
    await publish(page_tables, market(22))
    page = await open_page(chromium, page_gateway.url)
    await page.locator("#search").fill("nothere")
    await page.keyboard.press("Enter")
    panel = widget(page, "symbol")
    await expect(panel).to_contain_text("No quote of NOTHERE yet")
    await expect(panel.locator(".tape")).to_contain_text("No tape")
    await expect(panel.locator(".chart")).to_contain_text("begins with the next trades")


@pytest.mark.verify
async def test_a_search_opens_the_exact_symbol_and_asks_where_there_are_several(
    chromium: Browser, page_gateway: GatewayProcess, page_tables: Tables
) -> None:
    await publish(page_tables, market(23))
    for number, symbol in enumerate(("QRSW", "QRSw", "BApA")):
        await page_tables.quote(symbol, close=float(number + 1))
        await until_served(page_gateway, f"/api/quotes/{symbol}")
    page = await open_page(chromium, page_gateway.url)
    search, panel = page.locator("#search"), widget(page, "symbol")
    for typed, symbol in (("QRSw", "QRSw"), ("QRSW", "QRSW"), ("bapa", "BApA")):
        await search.fill(typed)
        await page.keyboard.press("Enter")
        await expect(panel.locator("h2")).to_have_text(symbol)
    await search.fill("qrsw")
    await page.keyboard.press("Enter")
    asked = page.locator(".notice")
    await expect(asked).to_contain_text("There is no symbol “qrsw”. Did you mean QRSWQRSw?")
    await expect(panel.locator("h2")).to_have_text("BApA")
    await asked.get_by_role("button", name="QRSw", exact=True).click()
    await expect(panel.locator("h2")).to_have_text("QRSw")
    await expect(asked).to_have_count(0)


@pytest.mark.verify
async def test_halts_are_listed_with_their_reason_and_leave_the_list(
    chromium: Browser, page_gateway: GatewayProcess, page_tables: Tables
) -> None:
    await put_halt(page_tables, "HLTA", TEN_ET_MS + 1000, "news pending")
    page = await open_page(chromium, page_gateway.url, "Halts")
    halts = widget(page, "halts")
    await expect(halts).to_contain_text("Nasdaq-listed symbols")
    first = halts.locator("tbody tr").first
    await expect(first).to_contain_text("HLTA")
    await expect(first).to_contain_text("news pending")
    await expect(first).to_contain_text("10:00:01")
    await put_halt(page_tables, "HLTB", TEN_ET_MS + 5000)
    await expect(first).to_contain_text("HLTB")
    await expect(page.locator(".unseen")).to_contain_text("HLTB is halted")
    await put_halt(page_tables, "HLTA", None)
    await put_halt(page_tables, "HLTB", None)
    await expect(halts.locator("tr[data-symbol^=HLT]")).to_have_count(0)


@pytest.mark.verify
async def test_alerts_come_newest_first_once_and_sound_only_when_asked_for(
    chromium: Browser, page_gateway: GatewayProcess, page_tables: Tables
) -> None:
    at_ms = TEN_ET_MS + 70_000
    await put_alert(page_tables, "ALTA", "new_high", at_ms, 12.5, "Broke pre-market high of $12.40")
    page = await open_page(chromium, page_gateway.url, "Alerts")
    alerts = widget(page, "alerts")
    first = alerts.locator("tbody tr").first
    await expect(first).to_contain_text("ALTA")
    await expect(first).to_contain_text("New high")
    sound = alerts.get_by_label("Sound")
    assert not await sound.is_checked()
    await put_alert(page_tables, "ALTB", "volume_spike", at_ms + 1000, 5.25, "At least 5 times the average volume")
    await expect(first).to_contain_text("5.25×")
    await expect(page.locator(".unseen")).to_contain_text("ALTB: Volume spike")
    assert await page.evaluate("window.notes") == 0, "silent until one asks for sound"
    await sound.check()
    await expect(sound).to_be_checked()
    played = int(await page.evaluate("window.notes"))
    assert played > 0, "a note at once tells how loud it is"
    await put_alert(page_tables, "ALTC", "gap_up", at_ms + 2000, 22.0, "At least 20% above the previous close")
    await expect(first).to_contain_text("+22.00%")
    await page.wait_for_function(f"window.notes > {played}")
    played = int(await page.evaluate("window.notes"))
    await put_alert(page_tables, "ALTC", "gap_up", at_ms + 2000, 22.0, "At least 20% above the previous close")
    await page.locator("body").press("m")
    await expect(alerts).to_contain_text("all sound is muted")
    await put_alert(page_tables, "ALTD", "halt", at_ms + 3000, None, "news pending")
    await expect(first).to_contain_text("ALTD")
    await expect(alerts.locator("tr[data-symbol=ALTC]")).to_have_count(1)
    assert await page.evaluate("window.notes") == played, "neither twice for one alert, nor while all is muted"
    await alerts.get_by_label("Settings of Alerts").click()
    await alerts.locator(".panel").get_by_label("Halt", exact=True).uncheck()
    await expect(first).to_contain_text("ALTC")
    await page.keyboard.press("Escape")
    await first.click()
    await expect(widget(page, "symbol").locator("h2")).to_have_text("ALTC")


@pytest.mark.verify
async def test_a_board_can_be_another_one(chromium: Browser, page_gateway: GatewayProcess, page_tables: Tables) -> None:
    order = await publish(page_tables, market(23))
    page = await open_page(chromium, page_gateway.url)
    board = page.locator("[data-board=top_volume]")
    await board.get_by_label("Settings of Top volume").click()
    await board.get_by_label("Board").select_option("top_gainers")
    await expect(page.locator("[data-board=top_gainers]")).to_have_count(2)
    await expect(symbols(page, "top_gainers").first).to_have_text(order["top_gainers"][0])


async def test_a_scanner_shows_what_matches_now_and_what_begins_to(
    chromium: Browser, page_gateway: GatewayProcess, page_tables: Tables
) -> None:
    chance = random.Random(24)
    for place, symbol in enumerate(("SCNA", "SCNB", "SCNC")):
        row = figures(symbol, chance, TEN_ET_MS + 24_000) | {"close": 5.0, "pct_change": 60.0 - 20 * place}
        await page_tables.quote(**row)
    page = await open_page(chromium, page_gateway.url, "Scanner")
    scanner = widget(page, "scanner")
    await expect(scanner).to_contain_text("Write a filter or choose a preset")
    filter_box = scanner.get_by_role("textbox", name="Filter")
    await filter_box.fill("symbol in ('SCNA', 'SCNB', 'SCNC') and pct_change > 30")
    await filter_box.press("Enter")
    rows = scanner.locator("tbody th")
    await expect(rows).to_have_text(["SCNA", "SCNB"])
    await expect(scanner.locator(".count")).to_have_text("2 match")
    await page_tables.quote(**(figures("SCNC", chance, TEN_ET_MS + 25_000) | {"close": 6.0, "pct_change": 50.0}))
    await expect(rows).to_have_text(["SCNA", "SCNC", "SCNB"])
    await expect(scanner.locator("tr.fresh")).to_have_attribute("data-symbol", "SCNC")
    await page_tables.quote(**(figures("SCNA", chance, TEN_ET_MS + 26_000) | {"pct_change": 1.0}))
    await expect(rows).to_have_text(["SCNC", "SCNB"])
    await shot(page, "page-scanner")


@pytest.mark.verify
async def test_a_filter_that_is_none_is_told_in_place_and_the_scan_goes_on(
    chromium: Browser, page_gateway: GatewayProcess, page_tables: Tables
) -> None:
    await page_tables.quote(**(figures("SCND", random.Random(25), TEN_ET_MS + 24_000) | {"close": 5.0}))
    page = await open_page(chromium, page_gateway.url, "Scanner")
    scanner = widget(page, "scanner")
    filter_box = scanner.get_by_role("textbox", name="Filter")
    await filter_box.fill("symbol = 'SCND'")
    await filter_box.press("Enter")
    await expect(scanner.locator("tbody th")).to_have_text(["SCND"])
    await filter_box.fill("symbol = 'SCND' and relative_volum > 5")
    await filter_box.press("Enter")
    fault = scanner.get_by_role("alert")
    await expect(fault).to_contain_text("relative_volume")
    await expect(fault.locator("mark")).to_have_text("relative_vol")
    await expect(filter_box).to_have_attribute("aria-invalid", "true")
    await expect(scanner.locator("tbody th")).to_have_text(["SCND"])
    await filter_box.fill("symbol = 'SCND' and close > 4")
    await filter_box.press("Enter")
    await expect(fault).to_have_count(0)
    await expect(scanner.locator("tbody th")).to_have_text(["SCND"])


@pytest.mark.verify
async def test_presets_are_scanners_and_two_scanners_go_side_by_side(
    chromium: Browser, page_gateway: GatewayProcess, page_tables: Tables
) -> None:
    pillar = figures("SCNE", random.Random(26), TEN_ET_MS + 24_000) | {
        "close": 7.0, "free_float": 5e6, "pct_change": 40.0, "relative_volume": 9.0,
    }  # fmt: skip
    await page_tables.quote(**pillar)
    page = await open_page(chromium, page_gateway.url, "Scanner", "Scanner")
    sockets: list[str] = []
    page.on("websocket", lambda socket: sockets.append(socket.url))
    await page.reload()
    first, second = widget(page, "scanner").nth(0), widget(page, "scanner").nth(1)
    await first.get_by_label("Preset").select_option(label="Five pillars")
    await expect(first.locator("h2")).to_have_text("Five pillars")
    await expect(first.locator("tbody tr[data-symbol=SCNE]")).to_have_count(1)
    other = second.get_by_role("textbox", name="Filter")
    await other.fill("symbol = 'SCNE' and pct_change < 0")
    await other.press("Enter")
    await expect(second).to_contain_text("No symbol matches now")
    await page_tables.quote(**(pillar | {"pct_change": -1.0}))
    await expect(second.locator("tbody th")).to_have_text(["SCNE"])
    await expect(first.locator("tbody tr[data-symbol=SCNE]")).to_have_count(0)
    await page.reload()
    await expect(first.locator("h2")).to_have_text("Five pillars")
    await expect(second.locator("tbody th")).to_have_text(["SCNE"])
    assert len(sockets) == 2, "one connection each time the page is loaded"
