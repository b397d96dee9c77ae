"""`tapereader doctor --vendor`: what the key's plan has, found by asking: hosts, channels, REST endpoints.

Each channel is asked for on its own, so that a refusal has a name. Of REST the smallest answers are asked for.
The check opens a connection of the account: where another one is open, the vendor closes that.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from typing import Any, Final, Literal, NamedTuple

import httpx

from app.errors import FeedError, LoginRefused, NoLiveData, NoRealTimeData
from app.market.calendar import NEW_YORK
from app.market.feed_state import ChannelAnswer
from app.settings import Settings
from producers.address import delayed_url, feed_address
from producers.feed import Feed, open_feed
from producers.routing import Status, route_frame

#: A channel that is not answered in so long is not answered at all.
ANSWER_S: Final = 5.0
REST_TIMEOUT_S: Final = 10.0

#: A plan with a few calls a minute has some again after so long.
MINUTE_S: Final = 61.0

#: Pause after a connection, for the vendor to forget it: two of one account would close each other.
BETWEEN_S: Final = 0.2

CHANNELS: Final = {
    "A.AAPL": "second bars: boards, scans, quotes",
    "AM.AAPL": "minute bars",
    "T.AAPL": "trades: tape, trade windows",
    "Q.AAPL": "best bid and offer, sides of trades",
    "LULD.AAPL": "price bands and halts",
}

_DAY: Final = "{day}"
ENDPOINTS: Final = {
    "market status": ("/v1/marketstatus/now", "when to connect"),
    "snapshot": ("/v2/snapshot/locale/us/markets/stocks/tickers/AAPL", "previous close of a symbol"),
    "all snapshots": ("/v2/snapshot/locale/us/markets/stocks/tickers?tickers=AAPL", "previous close of all symbols"),
    "ratios": ("/stocks/financials/v1/ratios?ticker=AAPL&limit=1", "average volume"),
    "float": ("/stocks/vX/float?ticker=AAPL&limit=1", "free float"),
    "grouped days": (f"/v2/aggs/grouped/locale/us/market/stocks/{_DAY}", "average volume without ratios"),
    "splits": ("/stocks/v1/splits?limit=1", "previous close on the day of a split"),
    "tickers": ("/v3/reference/tickers?ticker=AAPL&limit=1", "names, types, exchanges"),
    "conditions": ("/v3/reference/conditions?asset_class=stocks&limit=1", "what a print counts for"),
    "trades": ("/v3/trades/AAPL?limit=1", "holes of the feed"),
}


class Answer(NamedTuple):
    """One thing asked of the vendor: a row of the table."""

    level: Literal["ok", "warn", "fail"]
    subject: str
    answer: str
    used_for: str


async def ask(settings: Settings, waiting: Callable[[float], None] = lambda _: None) -> AsyncIterator[Answer]:
    """Ask for one thing after the other. `waiting` is called with a time (s) before that is waited for.

    A plan with a few calls a minute is asked on when the minute is over. Raises `SettingsError`: no key.
    """
    url, rest_url, key = feed_address(settings)
    async for answer in _socket(settings, url, key):
        yield answer
    day = datetime.now(NEW_YORK).date() - timedelta(days=1)
    while day.weekday() > 4:
        day -= timedelta(days=1)
    async with httpx.AsyncClient(
        base_url=rest_url, timeout=REST_TIMEOUT_S, headers={"Authorization": f"Bearer {key}"}
    ) as client:
        for name, (path, used_for) in ENDPOINTS.items():
            path = path.replace(_DAY, day.isoformat())
            found = await _endpoint(client, name, path, used_for)
            if isinstance(found, float):
                waiting(found)
                await asyncio.sleep(found)
                found = await _endpoint(client, name, path, used_for)
            if isinstance(found, float):
                found = Answer("warn", f"REST {name}", "429: asked too often; is the key in use elsewhere?", used_for)
            yield found


async def _socket(settings: Settings, url: str, key: str) -> AsyncIterator[Answer]:
    """The hosts in turn, and the channels of the first that has data for the key."""
    for title, host in (("real-time host", url), ("delayed host", delayed_url(settings))):
        if title == "delayed host" and host == url:
            return
        shown = host.split("://")[-1]
        try:
            feed = await open_feed(host, key, [])
        except NoLiveData:
            yield Answer("warn", "live data", "not in the plan: no channel can be had", shown)
            return
        except LoginRefused as error:
            yield Answer("fail", "key", str(error), shown)
            return
        except FeedError as error:
            yield Answer("fail", title, str(error), "live data")
            continue
        try:
            answers = {channel: await _answer(feed, channel) for channel in CHANNELS}
        except NoRealTimeData as error:
            yield Answer("warn", title, f"{error}", shown)
            await asyncio.sleep(BETWEEN_S)
            continue
        except FeedError as error:
            yield Answer("fail", title, str(error), shown)
            continue
        finally:
            await feed.close()
        late = ", 15 minutes late" if title == "delayed host" else ""
        yield Answer("ok", title, f"the key is accepted{late}", shown)
        for channel, answer in answers.items():
            level: Literal["ok", "warn"] = "ok" if answer is ChannelAnswer.ACKNOWLEDGED else "warn"
            told = {ChannelAnswer.ACKNOWLEDGED: "in the plan", ChannelAnswer.REFUSED: "not in the plan"}
            kind = channel.partition(".")[0]
            yield Answer(level, f"channel {kind}", told.get(answer, "no answer"), CHANNELS[channel])
        return


async def _answer(feed: Feed, channel: str) -> ChannelAnswer:
    """Subscribe to one channel, and wait for the answer."""
    await feed.hold([channel])
    try:
        async with asyncio.timeout(ANSWER_S):
            while not feed.answers.all_answered:
                for event in route_frame(await feed.receive()):
                    if isinstance(event, Status):
                        feed.heed(event)
    except TimeoutError:
        pass
    return feed.answers.by_channel[channel]


async def _endpoint(client: httpx.AsyncClient, name: str, path: str, used_for: str) -> Answer | float:
    """The answer; a time (s): the calls of the minute are used up, and after it there are some again."""
    try:
        response = await client.get(path)
    except httpx.HTTPError as error:
        return Answer("fail", f"REST {name}", f"no answer: {type(error).__name__}", used_for)
    if response.status_code == 200:
        return Answer("ok", f"REST {name}", "in the plan", used_for)
    if response.status_code == 403:
        return Answer("warn", f"REST {name}", "not in the plan", used_for)
    if response.status_code == 429:
        return _wait_s(response)
    try:
        body: Any = response.json()
        text = body.get("error") or body.get("message") or ""
    except (ValueError, RecursionError, AttributeError):
        text = ""
    return Answer("fail", f"REST {name}", f"{response.status_code} {text}".strip(), used_for)


def _wait_s(response: httpx.Response) -> float:
    try:
        return min(max(float(response.headers.get("Retry-After", "")), 0.0), MINUTE_S)
    except ValueError:
        return MINUTE_S
