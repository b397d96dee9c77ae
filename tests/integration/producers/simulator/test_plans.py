"""What an account of the vendor's may do, and how it is told what it may not: as others saw it of the live service."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
from massive import RESTClient
from massive.exceptions import BadResponse
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError

from app.settings import Plan
from producers.simulator import Simulator
from tests.eventually import eventually
from tests.simulator_client import START, Client, connected, control

SUBSCRIBED = ("A.*", "AM.*", "T.*", "Q.*", "LULD.*", "NOI.*")


@asynccontextmanager
async def account(plan: Plan, **more: float) -> AsyncIterator[Simulator]:
    async with Simulator(symbols=60, seed=4, start=START, events_per_s=700, plan=plan, **more) as running:  # type: ignore[arg-type] # the test gives numbers only
        yield running


def answers(client: Client) -> list[tuple[str, str]]:
    return [(status["status"], status["message"]) for status in client.statuses[2:]]


async def test_a_newcomer_is_admitted_and_the_older_connection_of_the_account_is_closed(simulator: Simulator) -> None:
    async with connected(simulator, "T.*") as first:
        await eventually(lambda: first.events)
        async with connected(simulator, "T.*") as second:
            await eventually(lambda: second.events)
            with pytest.raises(ConnectionClosedError):
                await asyncio.wait_for(first.reading, 10)
            assert first.statuses[-1]["status"] == "max_connections"
            assert first.statuses[-1]["message"].startswith("Maximum number of websocket connections exceeded.")
            assert first.socket.close_code == 1008
            await eventually(lambda: simulator.statistics()["connections"]["now"] == 1)
            count = len(second.events)
            await eventually(lambda: len(second.events) > count)
    assert simulator.counts["evicted"] == 1


@pytest.mark.verify
async def test_the_delayed_host_counts_as_a_connection_of_the_account() -> None:
    async with account(Plan.STARTER) as simulator, connected(simulator) as first:
        await eventually(lambda: len(first.statuses) == 2)
        async with connected(simulator, "A.*", host="delayed/") as second:
            with pytest.raises(ConnectionClosedError):
                await asyncio.wait_for(first.reading, 10)
            await eventually(lambda: second.events)


async def test_a_channel_that_is_not_in_the_plan_is_refused_without_its_name() -> None:
    async with account(Plan.DEVELOPER) as simulator, connected(simulator, *SUBSCRIBED, host="delayed/") as client:
        await eventually(lambda: len(answers(client)) == len(SUBSCRIBED))
        assert answers(client) == [
            ("success", "subscribed to: A.*"),
            ("success", "subscribed to: AM.*"),
            ("success", "subscribed to: T.*"),
            *[("error", "not authorized")] * 3,
        ]
        await eventually(lambda: client.counts()["A"] and client.counts()["T"])
        assert set(client.counts()) <= {"A", "AM", "T"}


async def test_what_is_no_channel_or_held_already_is_not_answered(simulator: Simulator) -> None:
    async with connected(simulator, "AS.*", "XX.*", "T.AAPL", "ZZ.AAPL") as client:
        await client.say("subscribe", "T.AAPL,Q.NOBODY")
        await eventually(lambda: ("success", "subscribed to: Q.NOBODY") in answers(client))
        assert answers(client) == [("success", "subscribed to: T.AAPL"), ("success", "subscribed to: Q.NOBODY")]


@pytest.mark.verify
async def test_the_real_time_host_takes_a_login_with_a_delayed_plan_and_then_says_what_it_lacks() -> None:
    async with account(Plan.STARTER) as simulator, connected(simulator, "A.*", "T.*") as client:
        await eventually(lambda: len(client.statuses) == 3)
        assert [status["status"] for status in client.statuses] == ["connected", "auth_success", "error"]
        assert client.statuses[2]["message"].startswith("You don't have access real-time data.")
        second = simulator.model.next_ms
        await eventually(lambda: simulator.model.next_ms > second + 2000)
        assert client.events == []


async def test_a_delayed_feed_is_a_quarter_of_an_hour_late() -> None:
    async with account(Plan.STARTER) as simulator, connected(simulator, "A.*", host="delayed/") as client:
        await eventually(lambda: client.events)
        late_ms = simulator.clock.now_ms() - client.events[0]["e"]
        assert 900_000 <= late_ms < 905_000
        assert (await control(simulator, "stats"))["virtual_time"].startswith("2026-11-20T10:00:")


async def test_a_plan_without_the_socket_and_a_wrong_key_are_dropped_without_a_close_frame() -> None:
    for plan, key, text in (
        (Plan.BASIC, "simulator", "Your plan doesn't include websocket access."),
        (Plan.ADVANCED, "wrong", "authentication failed"),
    ):
        async with account(plan) as simulator, connect(f"ws://{simulator.ws_feed}/stocks", proxy=None) as socket:
            client = Client(socket)
            await client.say("auth", key)
            with pytest.raises(ConnectionClosedError):
                await asyncio.wait_for(client.reading, 10)
            assert client.statuses[1]["status"] == "auth_failed"
            assert client.statuses[1]["message"].startswith(text)
            assert socket.protocol.close_rcvd is None


def read_rest(simulator: Simulator, plan: Plan) -> None:
    rest = RESTClient("simulator", base=simulator.rest_url)
    allowed: dict[str, Callable[[], object]] = {
        "ratios": lambda: next(iter(rest.list_financials_ratios(ticker="AAPL"))),
        "snapshot": lambda: rest.get_snapshot_ticker("stocks", "AAPL"),
        "floats": lambda: next(iter(rest.list_stocks_floats(ticker="AAPL"))),
        "tickers": lambda: next(iter(rest.list_tickers(ticker="AAPL"))),
    }
    expected = {
        Plan.BASIC: {"tickers"},
        Plan.STARTER: {"tickers", "snapshot", "floats"},
        Plan.DEVELOPER: {"tickers", "snapshot", "floats"},
        Plan.ADVANCED: set(allowed),
    }[plan]
    for name, call in allowed.items():
        if name in expected:
            call()
        else:
            with pytest.raises(BadResponse, match="NOT_AUTHORIZED"):
                call()


@pytest.mark.parametrize("plan", list(Plan))
async def test_rest_answers_403_for_what_is_not_in_the_plan(plan: Plan) -> None:
    async with account(plan) as simulator:
        await asyncio.to_thread(read_rest, simulator, plan)


async def test_the_basic_plan_has_five_calls_a_minute() -> None:
    async with account(Plan.BASIC) as simulator, aiohttp.ClientSession(simulator.rest_url) as http:
        statuses = []
        for _ in range(6):
            async with http.get("/v1/marketstatus/now", params={"apiKey": "simulator"}) as answer:
                statuses.append(answer.status)
    assert statuses == [200] * 5 + [429]


async def test_the_basic_plan_has_a_day_after_its_close() -> None:
    async with account(Plan.BASIC) as simulator, aiohttp.ClientSession(simulator.rest_url) as http:
        path = "/v2/aggs/grouped/locale/us/market/stocks/"
        for day, status in (("2026-11-19", 200), ("2026-11-20", 403)):
            async with http.get(path + day, params={"apiKey": "simulator"}) as answer:
                assert answer.status == status
