"""`tapereader cache` on a real Redis and the simulator's REST."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from app.reference.records import Kind
from producers.simulator.server import Simulator
from tests.conftest import free_port
from tests.integration.reference.cache_world import clean, requests, simulator


@dataclass
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


@dataclass
class Command:
    """`tapereader cache` with its surroundings."""

    market: Simulator
    environment: dict[str, str]

    async def run(self, *arguments: str, **environment: str) -> Ended:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "app", "cache", *arguments, env=os.environ | self.environment | environment,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await asyncio.wait_for(process.communicate(), 50)
        assert process.returncode is not None
        return Ended(process.returncode, out.decode(), err.decode())

    async def get(self, *arguments: str) -> Any:
        ended = await self.run("get", *arguments)
        assert ended.code == 0, ended.err
        return json.loads(ended.out)


@pytest.fixture
async def command(redis_url: str) -> AsyncIterator[Command]:
    url = await clean(redis_url)
    async with simulator() as market:
        environment = {
            "REDIS_URL": url, "TAPEREADER_SOURCE": "massive", "MASSIVE_API_KEY": "simulator",
            "TAPEREADER_MASSIVE_REST_URL": market.rest_url, "COLUMNS": "200",
        }  # fmt: skip
        yield Command(market, environment)


@pytest.mark.verify
async def test_what_was_warmed_is_shown_counted_and_deleted(command: Command, tmp_path: Path) -> None:
    first, second, third = command.market.model.universe.tickers[:3]
    more = tmp_path / "more.txt"
    more.write_text(f"{second}\n{third}\n")
    warmed = await command.run("warm", first, "--file", str(more), "--kind", "snapshots")
    assert (warmed.code, warmed.out.strip()) == (0, "3 values: 3 fresh"), warmed.err
    asked = requests(command.market)
    assert (await command.run("warm", first, second, "--kind", "snapshots")).code == 0
    found = await command.get(first, "--kind", "snapshots")
    assert found["snapshots"]["state"] == "fresh"
    assert found["snapshots"]["layer"] == "redis"
    assert found["snapshots"]["value"]["ticker"] == first
    assert requests(command.market) == asked, "what is there is not asked for again"

    counted = json.loads((await command.run("stats", "--json")).out)
    assert counted["values"] == {str(kind): 3 if kind is Kind.SNAPSHOT else 0 for kind in Kind}
    table = (await command.run("stats")).out
    assert "values: snapshots" in table

    deleted = await command.run("delete", first, second, "--kind", "snapshots")
    assert (deleted.code, deleted.out.strip()) == (0, "2 values deleted")
    counted = json.loads((await command.run("stats", "--json")).out)
    assert counted["values"]["snapshots"] == 1
    assert set(await command.get(third)) == {str(kind) for kind in Kind}


@pytest.mark.verify
async def test_no_tickers_and_no_redis_end_with_a_sentence(command: Command) -> None:
    nothing = await command.run("warm", "--kind", "snapshots")
    expected = "error: expected tickers, as arguments or one a line in --file; there was none"
    assert (nothing.code, nothing.err.strip()) == (2, expected)
    nowhere = f"redis://127.0.0.1:{free_port()}/0"
    ticker = command.market.model.universe.tickers[0]
    for arguments in (["delete", ticker], ["stats"], ["warm", ticker]):
        ended = await command.run(*arguments, REDIS_URL=nowhere)
        assert ended.code == 1, arguments
        assert "Traceback" not in ended.err


@pytest.mark.verify
async def test_warm_without_a_name_is_the_whole_market_by_a_handful_of_requests(command: Command) -> None:
    ended = await command.run("warm")
    assert ended.code == 0, ended.err
    assert "20 symbols for " in ended.out
    asked = requests(command.market)
    assert (asked["snapshots"], asked["ratios"], asked["floats"], asked["snapshot"]) == (1, 1, 1, 0)
    assert (await command.get("AAPL"))["snapshots"]["layer"] == "redis"
    assert requests(command.market)["snapshot"] == 0
