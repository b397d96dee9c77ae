"""`tapereader up` in each plan of the vendor's account: what the page, the status and the terminal say."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.async_api import async_playwright, expect

from app.settings import Plan
from tests.eventually import eventually
from tests.page_stack import ARGUMENTS, ARTIFACTS, CHROMIUM, PAGE_MARKS
from tests.running_up import RunningUp, running

pytestmark = [pytest.mark.verify, *PAGE_MARKS]

CHANNELS = {"A.*", "LULD.*", "Q.*", "T.*"}
FALLBACK = {"TAPEREADER_MASSIVE_DELAYED_FALLBACK": "true"}
QUOTES, TRADES = "Quotes are not in your plan.", "Trades are not in your plan."


async def feed_of(up: RunningUp, granted: set[str]) -> dict[str, Any]:
    """The feed as `/api/status` has it, once the vendor has answered for every channel."""
    found: dict[str, Any] = {}

    async def answered() -> bool:
        answer = await client.get(f"http://127.0.0.1:{up.http_port}/api/status")
        found.update(answer.json()["feed"] or {})
        return {name for name, answer in found.get("channels", {}).items() if answer == "acknowledged"} == granted

    async with httpx.AsyncClient(trust_env=False, timeout=5.0) as client:
        await eventually(answered, timeout_s=90)
    return found


@pytest.mark.parametrize(
    ("plan", "light", "granted", "said"),
    [
        (Plan.STARTER, "15 min delayed", {"A.*"}, {QUOTES, TRADES}),
        (Plan.DEVELOPER, "15 min delayed", {"A.*", "T.*"}, {QUOTES}),
        (Plan.ADVANCED, "Live", CHANNELS, set()),
    ],
)
async def test_a_plan_shows_what_it_has_and_lacks(
    tmp_path: Path, plan: Plan, light: str, granted: set[str], said: set[str]
) -> None:
    environment = {"TAPEREADER_SIMULATOR_PLAN": plan.value, **({} if plan is Plan.ADVANCED else FALLBACK)}
    async with running(tmp_path / "data", "simulator", "--symbols", "40", environment=environment) as up:
        feed = await feed_of(up, granted)
        assert {name for name, answer in feed["channels"].items() if answer == "refused"} == CHANNELS - granted
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
            page = await browser.new_page(viewport={"width": 1600, "height": 1000})
            await page.goto(f"http://127.0.0.1:{up.http_port}/")
            await expect(page.get_by_text(light, exact=True)).to_be_visible(timeout=60_000)
            await expect(page.locator("[data-board=top_volume] tbody tr").nth(9)).to_be_visible(timeout=60_000)
            for sentence in (QUOTES, TRADES):
                shown = expect(page.get_by_text(sentence))
                await (shown.to_be_visible() if sentence in said else shown.to_have_count(0))
            ARTIFACTS.mkdir(exist_ok=True)
            await page.screenshot(path=ARTIFACTS / f"plan-{plan.value}.png")
            await browser.close()


@pytest.mark.parametrize(
    ("plan", "sentence"),
    [
        (Plan.BASIC, "the key's plan has no live data (Your plan doesn't include websocket access."),
        (Plan.STARTER, "the key's plan has no real-time data"),
    ],
)
async def test_a_plan_without_live_data_ends_with_a_sentence(tmp_path: Path, plan: Plan, sentence: str) -> None:
    up = RunningUp(
        tmp_path / "data", "simulator", "--symbols", "20", environment={"TAPEREADER_SIMULATOR_PLAN": plan.value}
    ).start()
    try:

        def ended() -> bool:
            return up.process is not None and up.process.poll() is not None

        await eventually(ended, timeout_s=120)
        printed = " ".join(up.finish().split())
        assert f"error: producer ended for good: {sentence}" in printed
        assert ("TAPEREADER_MASSIVE_DELAYED_FALLBACK" in printed) is (plan is Plan.STARTER)
        assert "Traceback" not in printed
    finally:
        if not ended() and up.process is not None:
            up.process.terminate()
            up.process.wait(60)
