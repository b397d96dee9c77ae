"""Scans, filters on lists and msgpack on a gateway process with a real broker."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import msgspec
import pytest
from websockets.asyncio.client import ClientConnection, connect

from app.kafka.admin import ensure_topics
from app.kafka.topics import ALL_TOPICS, MARKET_QUOTES
from tests.eventually import eventually
from tests.gateway_stack import GatewayProcess, Tables, quote_row


@pytest.fixture(scope="module")
def gateway(broker_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    asyncio.run(ensure_topics(broker_url, ALL_TOPICS, 4))
    log = tmp_path_factory.mktemp("scans") / "gateway.log"
    process = GatewayProcess(broker_url, log, gateway_max_scans=8).start()
    yield process
    assert process.stop() == 0


@pytest.fixture
async def tables(broker_url: str) -> AsyncIterator[Tables]:
    async with Tables(broker_url) as writer:
        yield writer


@pytest.fixture
async def client(gateway: GatewayProcess) -> AsyncIterator[ClientConnection]:
    async with connect(gateway.ws_url) as connection:
        yield connection


async def following(client: ClientConnection) -> Any:
    async with asyncio.timeout(15):
        return json.loads(await client.recv())


async def subscribe(client: ClientConnection, feed: str, **options: Any) -> Any:
    """Subscribe, and read the answer."""
    await client.send(json.dumps({"action": "subscribe", "feed": feed, "id": 1, **options}))
    return await following(client)


async def test_a_scan_tells_who_enters_and_leaves(client: ClientConnection, tables: Tables, unique: str) -> None:
    one, two = f"{unique.upper()}.A", f"{unique.upper()}.B"
    await subscribe(client, "scan:quotes", filter=f"close > 50 and symbol in ('{one}', '{two}')",
                    sort="-close", mode="delta", fields=["close", "rank"])  # fmt: skip
    snapshot = await following(client)
    assert (snapshot["snapshot"], snapshot["recovered"]) == ([], False)
    await tables.quote(one, close=60.0)
    first = await following(client)
    assert first["delta"] == {
        "upsert": [{"symbol": one, "close": 60.0, "rank": 1}], "remove": [], "enter": [one], "leave": [],
    }  # fmt: skip
    await tables.quote(two, close=70.0)
    second = await following(client)
    assert second["delta"]["enter"] == [two]
    assert {"symbol": one, "rank": 2} in second["delta"]["upsert"]
    await tables.quote(one, close=40.0)
    third = await following(client)
    assert third["delta"] == {"upsert": [], "remove": [one], "enter": [], "leave": [one]}
    await tables.put(MARKET_QUOTES, two, None)
    fourth = await following(client)
    assert fourth["delta"]["remove"] == [two], "a row that is deleted leaves"
    assert [each["offset"] - snapshot["offset"] for each in (first, second, third, fourth)] == [1, 2, 3, 4]


async def test_a_scan_is_recovered_where_it_was_left(
    gateway: GatewayProcess, client: ClientConnection, tables: Tables, unique: str
) -> None:
    symbol = unique.upper()
    options = {"filter": f"close > 50 and symbol = '{symbol}'", "mode": "delta", "fields": ["close"]}
    await subscribe(client, "scan:quotes", **options)
    before = await following(client)
    await client.close()
    await tables.quote(symbol, close=60.0)
    async with connect(gateway.ws_url) as watcher:
        await subscribe(watcher, "scan:quotes", **options)
        while not (await following(watcher)).get("snapshot", [1]):
            pass
    async with connect(gateway.ws_url) as again:
        await subscribe(again, "scan:quotes", epoch=before["epoch"], offset=before["offset"], **options)
        missed = await following(again)
        assert missed["recovered"] is True
        assert missed["delta"]["enter"] == [symbol], "what happened meanwhile is not lost"


async def test_the_states_of_a_scan_are_its_best_rows(client: ClientConnection, tables: Tables, unique: str) -> None:
    symbols = [f"{unique.upper()}.{letter}" for letter in "ABC"]
    named = ", ".join(f"'{symbol}'" for symbol in symbols)
    await subscribe(client, "scan:quotes:mine", filter=f"symbol in ({named})", sort="-volume", limit=2, envelope=True)
    assert (await following(client))["data"] == []
    for volume, symbol in enumerate(symbols, 100):
        await tables.quote(symbol, volume=float(volume))

    async def complete() -> Any:
        state = await following(client)
        return state if state["count"] == 3 else None

    state = await eventually(complete)
    assert state["feed"] == "scan:quotes:mine"
    assert [(row["symbol"], row["rank"]) for row in state["data"]] == [(symbols[2], 1), (symbols[1], 2)]
    assert set(state["enter"]) <= set(symbols)


async def test_a_scan_without_envelope_is_the_bare_list(client: ClientConnection, tables: Tables, unique: str) -> None:
    symbol = unique.upper()
    row = await tables.quote(symbol)
    await subscribe(client, "scan:quotes", filter=f"symbol = '{symbol}'", snapshot=True)

    async def found() -> Any:
        return await following(client)

    assert (await eventually(found)) == [{"rank": 1, **row}]


async def test_a_board_is_filtered(client: ClientConnection, tables: Tables, unique: str) -> None:
    board = f"board_{unique}"
    await subscribe(client, f"scanners:{board}", filter="close >= 10 and rank > 1", fields=["close"], limit=1)
    await tables.board(board, [quote_row("AAA"), quote_row("BBB", close=3.0), quote_row("CCC"), quote_row("DDD")])
    assert await following(client) == [{"symbol": "CCC", "rank": 3, "close": 10.5}], "what tells rows apart is not cut"


async def test_msgpack_is_the_same_document_in_a_binary_message(
    client: ClientConnection, tables: Tables, unique: str
) -> None:
    board = f"board_{unique}"
    await subscribe(client, f"scanners:{board}", encoding="msgpack", envelope=True)
    record = await tables.board(board, [quote_row("AAA"), quote_row("BBB")])
    async with asyncio.timeout(15):
        message = await client.recv()
    assert isinstance(message, bytes)
    assert msgspec.msgpack.decode(message)["data"] == record["entries"]


@pytest.mark.parametrize(
    ("options", "code"),
    [
        pytest.param({"filter": "float < 20M"}, "bad_filter", id="field"),
        pytest.param({"filter": 7}, "bad_filter", id="type"),
        pytest.param({"filter": "("}, "bad_filter", id="syntax"),
        pytest.param({"sort": "nothing"}, "bad_sort", id="sort"),
        pytest.param({"limit": 501}, "bad_limit", id="limit"),
        pytest.param({"encoding": "xml"}, "bad_encoding", id="encoding"),
        pytest.param({"encoding": "event-stream"}, "bad_encoding", id="not-on-a-socket"),
    ],
)
async def test_what_is_no_scan_is_told(client: ClientConnection, options: dict[str, Any], code: str) -> None:
    answer = await subscribe(client, "scan:quotes", **options)
    assert (answer["status"], answer["code"], answer["id"]) == ("error", code, 1)
    if options.get("filter") == "float < 20M":
        assert (answer["position"], answer["suggestion"]) == (0, "free_float")


async def test_different_scans_are_limited_and_equal_ones_are_one(gateway: GatewayProcess) -> None:
    async with connect(gateway.ws_url) as one, connect(gateway.ws_url) as other:
        for number in range(8):
            answer = await subscribe(one, f"scan:quotes:{number}", filter=f"close > {number}00000")
            assert answer["status"] == "subscribed"
        assert (await subscribe(other, "scan:quotes:9", filter="close > 1"))["code"] == "too_many_scans"
        equal = await subscribe(other, "scan:quotes:7", filter=" (close>700k) ")
        assert equal["status"] == "subscribed"
    async with connect(gateway.ws_url) as third:

        async def room() -> bool:
            answer = await subscribe(third, "scan:quotes:9", filter="close > 1")
            return bool(answer["status"] == "subscribed")

        await eventually(room)


async def test_filters_are_checked_and_presets_can_be_subscribed_to(
    gateway: GatewayProcess, client: ClientConnection
) -> None:
    async with httpx.AsyncClient(base_url=gateway.url) as http:
        good = (await http.post("/api/filters/check", json={"filter": "close>4 and pct_change is null"})).json()
        assert good == {
            "valid": True, "filter": "((close > 4.0) and (pct_change is null))", "fields": ["close", "pct_change"],
            "errors": [],
        }  # fmt: skip
        bad = (await http.post("/api/filters/check", json={"filter": "close > 4 and prize < 3"})).json()
        assert (bad["valid"], bad["errors"][0]["position"]) == (False, 14)
        assert (await http.post("/api/filters/check", json={"filter": "a", "feed": "quote:A"})).status_code == 404
        assert (await http.post("/api/filters/check", json={})).status_code == 422
        assert (await http.get("/api/filters/fields")).json()["fields"]["close"] == "number"
        presets = (await http.get("/api/filters/presets")).json()["presets"]
    assert "five_pillars" in [preset["name"] for preset in presets]
    for preset in presets:
        answer = await subscribe(client, "scan:quotes", filter=preset["filter"], sort=preset["sort"])
        assert answer["status"] == "subscribed"


async def test_who_follows_a_feed_before_it_exists_begins_with_its_whole_state(
    client: ClientConnection, tables: Tables, unique: str
) -> None:
    symbol = unique.upper()
    await subscribe(client, f"quote:{symbol}", mode="delta")
    row = await tables.quote(symbol, close=1.0)
    first = await following(client)
    assert (first["snapshot"], first["recovered"]) == ([row], False)
    await tables.quote(symbol, close=2.0, received_ns=row["received_ns"])
    second = await following(client)
    assert second["delta"]["upsert"] == [{"symbol": symbol, "close": 2.0}]
    assert second["offset"] == first["offset"] + 1
