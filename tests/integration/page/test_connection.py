"""The page on a bad line, in a real Chromium: it comes back where it stood, and never calls old data live."""

import json
from typing import Any

import pytest
from playwright.async_api import Browser, Page, WebSocket, expect

from app import clock
from app.kafka import topics
from app.market.feed_state import KEY
from tests.gateway_stack import GatewayProcess, Tables
from tests.page_stack import (
    COMPARED,
    PAGE_MARKS,
    Line,
    add_widget,
    market,
    publish,
    publish_boards,
    shot,
    symbols,
    widget,
)

pytestmark = [pytest.mark.verify, *PAGE_MARKS]
WIDE: Any = {"width": 1600, "height": 900}


def follow(page: Page, sent: list[Any], received: list[Any]) -> None:
    """Keep what goes over the page's sockets."""

    def opened(socket: WebSocket) -> None:
        socket.on("framesent", lambda frame: sent.append(json.loads(frame)))
        socket.on("framereceived", lambda frame: received.append(json.loads(frame)))

    page.on("websocket", opened)


async def test_a_cut_line_is_taken_up_where_it_was_by_epoch_and_offset(
    chromium: Browser, page_gateway: GatewayProcess, page_tables: Tables
) -> None:
    first = await publish(page_tables, market(30))
    sent: list[Any] = []
    received: list[Any] = []
    async with Line(page_gateway.port) as line:
        page = await chromium.new_page(viewport=WIDE)
        follow(page, sent, received)
        await page.goto(line.url)
        await expect(symbols(page, "top_volume")).to_have_text(first["top_volume"][:COMPARED])
        light = page.locator(".light")
        await expect(light).to_have_attribute("data-state", "live")
        line.refuses = True
        line.cut()
        await expect(light).to_have_attribute("data-state", "lost")
        await expect(light).to_contain_text("Connection lost")
        await expect(page.locator("main")).to_have_class("disconnected")
        missed = await publish_boards(page_tables, market(31))
        sent.clear()
        received.clear()
        line.refuses = False
        await page.get_by_role("button", name="Retry now").click()
        await expect(light).to_have_attribute("data-state", "live")
        await expect(symbols(page, "top_volume")).to_have_text(missed["top_volume"][:COMPARED])
    asked = [each for each in sent if each.get("feed") == "scanners:top_volume"]
    assert {"epoch", "offset"} <= asked[0].keys()
    board = [each for each in received if each.get("feed") == "scanners:top_volume" and "status" not in each]
    assert board[0]["recovered"] is True
    assert board[0]["offset"] == asked[0]["offset"] + 1
    assert not any("snapshot" in each for each in board)


async def test_on_a_slow_line_the_newest_state_arrives_and_the_page_stays_usable(
    chromium: Browser, page_gateway: GatewayProcess, page_tables: Tables
) -> None:
    """A line of 40 kB/s, each piece 80 ms late: states between are left out, the last one is shown."""
    await publish(page_tables, market(32))
    async with Line(page_gateway.port) as line:
        page = await chromium.new_page(viewport=WIDE)
        await page.goto(line.url)
        await expect(page.locator(".light")).to_have_attribute("data-state", "live")
        line.bytes_per_s, line.late_s = 40_000, 0.08
        for seed in range(33, 43):
            last = await publish_boards(page_tables, market(seed))
        await page.locator("body").press("?")
        await expect(page.get_by_role("dialog")).to_contain_text("pause")
        await page.keyboard.press("Escape")
        for board, order in last.items():
            await expect(symbols(page, board)).to_have_text(order[:COMPARED], timeout=60_000)


async def test_requests_that_take_long_leave_the_live_tables_alone(
    chromium: Browser, page_gateway: GatewayProcess, page_tables: Tables
) -> None:
    """The developer tools' slow network: 2 s to each answer, 20 kB/s; the page still loads and shows the boards."""
    order = await publish(page_tables, market(43))
    page = await chromium.new_page(viewport=WIDE)
    tools = await page.context.new_cdp_session(page)
    slow = {"offline": False, "latency": 400, "downloadThroughput": 60_000, "uploadThroughput": 20_000}
    await tools.send("Network.enable")
    await tools.send("Network.emulateNetworkConditions", slow)
    await page.goto(page_gateway.url, timeout=90_000)
    await expect(symbols(page, "top_gainers")).to_have_text(order["top_gainers"][:COMPARED], timeout=60_000)
    await expect(page.locator(".light")).to_have_attribute("data-state", "live")


#: 2026-11-30 04:00 in New York.
MONDAY_0400_MS = 1_796_029_200_000


@pytest.mark.parametrize(
    ("session", "age_s", "state", "words"),
    [
        ("regular", 0.4, "live", "Live"),
        ("regular", 60.0, "stale", "Stale: no new data"),
        ("closed", 4000.0, "closed", "Connected, market closed"),
        ("pre_market", 1.0, "live", "Live"),
    ],
)
async def test_the_strip_tells_live_from_stale_and_an_open_market_from_a_closed_one(
    chromium: Browser,
    page_gateway: GatewayProcess,
    page_tables: Tables,
    session: str,
    age_s: float,
    state: str,
    words: str,
) -> None:
    """The status is the gateway's own but for session and age, which a test cannot wait for."""
    await publish(page_tables, market(44))
    page = await chromium.new_page(viewport=WIDE)

    async def aged(route: Any) -> None:
        answer = await route.fetch()
        body = await answer.json() | {
            "session": session,
            "opens_ms": MONDAY_0400_MS if session == "closed" else None,
            "newest_received_age_s": age_s,
            "time_ms": clock.wall_ns() // 10**6,
        }
        await route.fulfill(response=answer, json=body)

    await page.route("**/api/status", aged)
    await page.goto(page_gateway.url)
    await expect(page.locator(".light")).to_have_attribute("data-state", state)
    await expect(page.locator(".light")).to_have_text(words)
    title = {
        "regular": "Market open",
        "closed": "Market closed, opens Monday 04:00 ET",
        "pre_market": "Pre-market",
    }[session]
    await expect(page.locator(".session")).to_have_text(title)


async def test_a_browser_without_a_network_says_so(
    chromium: Browser, page_gateway: GatewayProcess, page_tables: Tables
) -> None:
    await publish(page_tables, market(45))
    async with Line(page_gateway.port) as line:
        context = await chromium.new_context(viewport=WIDE)
        page = await context.new_page()
        await page.goto(line.url)
        await expect(page.locator(".light")).to_have_attribute("data-state", "live")
        await context.set_offline(True)
        line.cut()
        await expect(page.locator(".light")).to_have_text("Offline")
        await context.set_offline(False)
        await expect(page.locator(".light")).to_have_attribute("data-state", "live", timeout=30_000)


async def test_a_widget_that_the_plan_leaves_empty_says_so_and_a_late_feed_is_not_called_live(
    chromium: Browser, page_gateway: GatewayProcess, page_tables: Tables
) -> None:
    """By the record that the producer writes of the feed."""
    rows = market(46)
    await publish(page_tables, rows)
    state = {
        "at_ms": clock.wall_ns() // 10**6, "connected": True, "host": "delayed.massive.com/stocks", "late": True,
        "channels": {"A.*": "acknowledged", "LULD.*": "refused", "Q.*": "refused", "T.*": "unanswered"},
        "evictions": 0, "problem": None,
    }  # fmt: skip
    try:
        await page_tables.put(topics.FEED, KEY, state)
        page = await chromium.new_page(viewport=WIDE)
        await page.goto(page_gateway.url)
        light = page.locator(".light")
        await expect(light).to_have_text("15 min delayed")
        await expect(light).to_have_attribute("data-state", "late")
        await page.goto(f"{page_gateway.url}/?symbol={rows[0]['symbol']}")
        await add_widget(page, "Halts")
        await expect(widget(page, "halts")).to_contain_text("Price bands and halts are not in your plan.")
        await expect(page.get_by_text("Quotes are not in your plan.")).to_be_visible()
        await expect(page.get_by_text("The vendor has not answered the subscription to trades.").first).to_be_visible()
        await shot(page, "plan")
        refused = {
            "connected": False,
            "late": None,
            "problem": "the feed refused the API key (no); check MASSIVE_API_KEY",
        }
        await page_tables.put(topics.FEED, KEY, state | refused)

        async def aged(route: Any) -> None:
            answer = await route.fetch()
            await route.fulfill(response=answer, json=await answer.json() | {"newest_received_age_s": 60.0})

        await page.route("**/api/status", aged)
        await expect(light).to_have_text("Feed: the feed refused the API key")
    finally:
        await page_tables.put(topics.FEED, KEY, None)
