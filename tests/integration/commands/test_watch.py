"""`tapereader get` and `watch` with a gateway process on a real broker."""

import asyncio
import io
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from rich.console import Console

from app.commands.following import GatewayError, Wish, cell, columns, get, screen, states, wish
from app.kafka.admin import ensure_topics
from app.kafka.topics import ALL_TOPICS
from app.settings import Settings
from tests.eventually import eventually
from tests.gateway_stack import GatewayProcess, Tables, quote_row

KEY = "the-key-of-the-house"


@pytest.fixture(scope="module")
def gateway(broker_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    asyncio.run(ensure_topics(broker_url, ALL_TOPICS, 4))
    log = tmp_path_factory.mktemp("watch") / "gateway.log"
    process = GatewayProcess(broker_url, log, gateway_api_key=KEY).start()
    yield process
    assert process.stop() == 0


@pytest.fixture
async def tables(broker_url: str) -> AsyncIterator[Tables]:
    async with Tables(broker_url) as writer:
        yield writer


def command(gateway: GatewayProcess, *arguments: str, key: str = KEY) -> list[str]:
    return [sys.executable, "-m", "app", *arguments, "--url", gateway.url, "--key", key]


async def printed(*arguments: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(*arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    async with asyncio.timeout(40):
        out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


def asked(gateway: GatewayProcess, feed: str, **options: Any) -> Wish:
    return wish(feed, Settings.load(), gateway.url, KEY, **options)


async def test_get_prints_the_present_state(gateway: GatewayProcess, tables: Tables, unique: str) -> None:
    board = f"board_{unique}"
    record = await tables.board(board, [quote_row("AAA", close=1.0), quote_row("BBB", close=2.0)])

    async def served() -> bool:
        return bool(await get(asked(gateway, f"scanners:{board}")))

    await eventually(served)
    code, out, err = await printed(*command(gateway, "get", f"scanners:{board}"))
    assert (code, err) == (0, "")
    assert json.loads(out) == record["entries"]
    options = ["--fields", "close,rank", "--filter", "close > 1", "--limit", "1"]
    _, out, _ = await printed(*command(gateway, "get", f"scanners:{board}", *options))
    assert json.loads(out) == [{"symbol": "BBB", "close": 2.0, "rank": 2}]


async def test_get_of_nothing_is_null_and_of_a_pattern_a_line_each(
    gateway: GatewayProcess, tables: Tables, unique: str
) -> None:
    assert await get(asked(gateway, f"quote:{unique}")) == []
    _, out, _ = await printed(*command(gateway, "get", f"quote:{unique}"))
    assert out == "null\n"
    for letter in "AB":
        await tables.quote(f"{unique.upper()}{letter}", close=3.0)

    async def both() -> bool:
        return len(await get(asked(gateway, f"quote:{unique.upper()}*"))) == 2

    await eventually(both)


@pytest.mark.verify
@pytest.mark.parametrize(
    ("arguments", "key", "says"),
    [
        pytest.param(["scan:quotes", "--filter", "float < 3"], KEY, "did you mean free_float", id="filter"),
        pytest.param(["quote:A"], "wrong", "the first message must be auth (4501)", id="key"),
    ],
)
async def test_what_the_gateway_refuses_is_one_clear_sentence(
    gateway: GatewayProcess, arguments: list[str], key: str, says: str
) -> None:
    for name in ("get", "watch"):
        code, out, err = await printed(*command(gateway, name, *arguments, key=key))
        assert (code, out) == (1, "")
        assert says in err
        assert "Traceback" not in err


async def test_no_gateway_is_said_so() -> None:
    with pytest.raises(GatewayError, match=r"no gateway at ws://127\.0\.0\.1:9/ws"):
        await get(wish("quote:A", Settings.load(), "http://127.0.0.1:9", None))
    with pytest.raises(GatewayError, match="--url ftp"):
        wish("quote:A", Settings.load(), "ftp://x", None)


async def test_watch_prints_each_state_into_a_pipe(gateway: GatewayProcess, tables: Tables, unique: str) -> None:
    symbol = unique.upper()
    await tables.quote(symbol, close=1.0)

    async def served() -> bool:
        return bool(await get(asked(gateway, f"quote:{symbol}")))

    await eventually(served)
    watching = asyncio.create_task(
        printed(*command(gateway, "watch", f"quote:{symbol}", "--fields", "close", "--count", "3"))
    )
    price = 1.0
    while not watching.done():
        price += 1
        await tables.quote(symbol, close=price)
        await asyncio.wait({watching}, timeout=0.2)
    code, out, _ = await watching
    found = [json.loads(line)["data"] for line in out.splitlines()]
    assert code == 0
    assert len(found) == 3
    assert all(set(row) == {"symbol", "close"} for row in found)
    assert found[0]["close"] < found[1]["close"] < found[2]["close"]


@pytest.mark.verify
async def test_watch_comes_back_when_the_gateway_does(
    broker_url: str, tables: Tables, unique: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    symbol = unique.upper()
    log = tmp_path_factory.mktemp("again") / "gateway.log"
    first = GatewayProcess(broker_url, log).start()
    note = [""]
    following = states(wish(f"quote:{symbol}", Settings.load(), first.url, None), note)
    await tables.quote(symbol, close=1.0)
    async with asyncio.timeout(50):
        assert (await anext(following))["data"]["close"] == 1.0
        assert first.stop() == 0
        waiting = asyncio.ensure_future(anext(following))
        again = await asyncio.to_thread(GatewayProcess(broker_url, log, port=first.port).start)
        try:
            assert (await waiting)["data"]["close"] == 1.0
            assert note == ["connected"]
        finally:
            await following.aclose()
            assert again.stop() == 0


def test_the_screen_is_a_table_of_rows_and_says_how_the_connection_is() -> None:
    console = Console(file=io.StringIO(), width=120, force_terminal=True, color_system=None)
    row = quote_row("AAPL", close=272.4, accumulated_volume=48_213_377.0)
    console.print(screen(Wish("scanners:x", "ws://x/ws"), {"scanners:x": [row]}, ["connected"]))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "AAPL" in text
    assert "272.40" in text
    assert "48,213,377" in text
    assert "1 rows  connected" in text


def test_columns_are_those_asked_for() -> None:
    row = quote_row("A")
    assert columns(row, ["close", "symbol"]) == ["symbol", "close"]
    assert columns(row, None)[:2] == ["symbol", "close"]
    assert columns({"symbol": "A", "list": [], "x": 1}, None) == ["symbol", "x"]
    assert [cell(value) for value in (None, True, 3.0, 3.14159, 12345.6, "x")] == [
        "-", "True", "3", "3.14", "12,346", "x",
    ]  # fmt: skip


async def test_a_symbol_in_letters_of_another_case_is_followed_with_a_word_or_asked_for(
    gateway: GatewayProcess, tables: Tables, unique: str
) -> None:
    share = unique.upper()
    rows = {symbol: await tables.quote(symbol) for symbol in (f"{share}W", f"{share}w", f"{share}pA")}
    wishes = [asked(gateway, f"quote:{symbol}") for symbol in rows]

    async def all_there() -> bool:
        return all([await get(wish) for wish in wishes])

    await eventually(all_there)
    code, out, err = await printed(*command(gateway, "get", f"quote:{share.lower()}pa"))
    assert (code, json.loads(out)["symbol"]) == (0, f"{share}pA")
    assert f"there is no quote:{share.lower()}pa: this is quote:{share}pA" in err
    code, out, err = await printed(*command(gateway, "watch", f"quote:{share}w", "--count", "1"))
    assert (code, json.loads(out)["data"]["symbol"], err) == (0, f"{share}w", "")
    code, out, err = await printed(*command(gateway, "watch", f"quote:{share.lower()}w", "--count", "1"))
    assert (code, out) == (1, "")
    assert f"there are quote:{share}W, quote:{share}w" in " ".join(err.split())
