"""`tapereader doctor --vendor` in each plan of the simulated account, as a process."""

import asyncio
import os
import sys

import pytest

from app.settings import Plan, Settings
from producers import vendor_check
from producers.simulator import Simulator
from tests.integration.reference.cache_world import misbehave


async def told(simulator: Simulator, key: str = "simulator") -> tuple[int, str]:
    """Exit code and output of the command."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TAPEREADER_", "MASSIVE_"))}
    settings = {"TAPEREADER_SIMULATOR_PORT": str(simulator.port), "MASSIVE_API_KEY": key, "COLUMNS": "200"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "app", "doctor", "--vendor", "--source", "simulator", env=kept | settings,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode or 0, output.decode()


def rows(output: str) -> dict[str, str]:
    """The answers by what was asked."""
    subjects = ("real-time host", "delayed host", "key", "channel", "REST")
    found = {}
    for line in output.splitlines():
        mark, _, rest = line.strip().partition(" ")
        if mark in ("ok", "warn", "fail") and rest.strip().startswith(subjects):
            what, answer = rest.strip().split("  ", 1)
            found[what] = f"{mark}: {answer.strip().split('  ')[0]}"
    return found


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "plan",
    [
        Plan.STARTER,
        pytest.param(Plan.DEVELOPER, marks=pytest.mark.verify),
        pytest.param(Plan.ADVANCED, marks=pytest.mark.verify),
    ],
)
async def test_the_plan_is_printed_as_a_table(plan: Plan) -> None:
    async with Simulator(symbols=20, start="2026-11-20T10:00", events_per_s=50, plan=plan) as simulator:
        code, output = await told(simulator)
    assert code == 0, output
    found = rows(output)
    has = {name for name, answer in found.items() if answer == "ok: in the plan"}
    lacks = {name for name, answer in found.items() if answer == "warn: not in the plan"}
    in_plan = {
        Plan.STARTER: {"channel A", "channel AM"},
        Plan.DEVELOPER: {"channel A", "channel AM", "channel T"},
        Plan.ADVANCED: {"channel A", "channel AM", "channel T", "channel Q", "channel LULD", "REST ratios"},
    }[plan]
    assert in_plan <= has, output
    assert ("REST ratios" in lacks) == (plan is not Plan.ADVANCED)
    assert {"channel Q", "channel LULD"} <= (has if plan is Plan.ADVANCED else lacks)
    if plan is Plan.ADVANCED:
        assert found["real-time host"] == "ok: the key is accepted"
    else:
        assert found["real-time host"].startswith("warn: the key's plan has no real-time data")
        assert found["delayed host"] == "ok: the key is accepted, 15 minutes late"


@pytest.mark.timeout(120)
async def test_a_wrong_key_fails_with_the_vendors_words() -> None:
    async with Simulator(symbols=20, start="2026-11-20T10:00", events_per_s=50) as simulator:
        code, output = await told(simulator, key="wrong")
    assert code == 1
    assert "refused the API key (authentication failed); check MASSIVE_API_KEY" in output
    assert "Traceback" not in output


async def asked(simulator: Simulator, waited: list[float]) -> dict[str, str]:
    """The answers by what was asked; each time that is waited for, the account has its calls again."""

    def wait(wait_s: float) -> None:
        waited.append(wait_s)
        simulator.forget_calls()

    settings = Settings.load(source="simulator", simulator_port=simulator.port)
    return {each.subject: f"{each.level}: {each.answer}" async for each in vendor_check.ask(settings, wait)}


async def test_a_plan_with_five_calls_a_minute_is_asked_on_when_the_minute_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(vendor_check, "MINUTE_S", 0.01)
    waited: list[float] = []
    async with Simulator(symbols=20, events_per_s=50, plan=Plan.BASIC) as simulator:
        found = await asked(simulator, waited)
    assert waited == [0.01]
    assert found.pop("live data") == "warn: not in the plan: no channel can be had"
    assert {name.removeprefix("REST ") for name, answer in found.items() if answer == "ok: in the plan"} == {
        "market status", "grouped days", "splits", "tickers", "conditions",
    }  # fmt: skip
    assert set(found.values()) == {"ok: in the plan", "warn: not in the plan"}


async def test_a_key_that_is_asked_too_often_is_said_so() -> None:
    waited: list[float] = []
    async with Simulator(symbols=20, events_per_s=50) as simulator:
        await misbehave(simulator, rest_status=429, rest_times=100, retry_after_s=0.01)
        found = await asked(simulator, waited)
    assert waited == [0.01] * len(vendor_check.ENDPOINTS), "the vendor's own time"
    assert found["REST splits"].startswith("warn: 429: asked too often")
