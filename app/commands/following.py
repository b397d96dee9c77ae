"""`tapereader watch` and `get`: a gateway's feeds in the terminal, and as JSON for programs."""

import asyncio
import json
import random
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import websockets
from rich.console import Console, Group
from rich.json import JSON
from rich.live import Live
from rich.table import Table
from rich.text import Text
from websockets.asyncio.client import ClientConnection, connect

from app.errors import TapereaderError
from app.observability.printable import printable
from app.settings import Settings

#: The protocol's back-off (docs/protocol.md), and the code from which a client does not come back.
FIRST_RETRY_S, MAX_RETRY_S = 1.0, 30.0
FINAL_CODE = 4500
REPLY_TIMEOUT_S = 20.0
MAX_COLUMNS = 10
_QUOTE_COLUMNS = (
    "rank", "symbol", "close", "pct_change", "accumulated_volume", "relative_volume", "pct_open_gap", "free_float",
)  # fmt: skip


class GatewayError(TapereaderError):
    """The gateway refused a request, or cannot be reached."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A feed with the options of a subscription, and where and as whom to ask for it."""

    feed: str
    url: str
    key: str | None = None
    options: dict[str, Any] = field(default_factory=dict)


def wish(feed: str, settings: Settings, url: str | None, key: str | None, **options: Any) -> Wish:
    """A wish with what the settings say where nothing else is given; options that are None are left out."""
    if key is None and settings.gateway_api_key is not None:
        key = settings.gateway_api_key.get_secret_value()
    address = (url or f"http://{settings.http_host}:{settings.http_port}").rstrip("/")
    scheme, found, rest = address.partition("://")
    if not found or scheme not in ("http", "https", "ws", "wss"):
        raise GatewayError(f"--url {address}: expected http://HOST:PORT or https://HOST")
    address = f"{scheme.replace('http', 'ws')}://{rest.removesuffix('/ws')}/ws"
    return Wish(feed, address, key, {name: value for name, value in options.items() if value is not None})


async def get(asked: Wish) -> list[dict[str, Any]]:
    """The present state of a feed, or of all that match a pattern, as `{"feed", "data", …}`; none where there is none.

    Raises `GatewayError`: refused, or not to be reached.
    """
    found: list[dict[str, Any]] = []
    try:
        async with _connected(asked) as connection, asyncio.timeout(REPLY_TIMEOUT_S):
            await _subscribe(connection, asked)
            # What there is comes before the answer to this.
            await connection.send('{"action":"ping","id":"end"}')
            async for message in connection:
                document = json.loads(message)
                if document.get("id") == "end":
                    return found
                found.append(document)
    except websockets.ConnectionClosed as closed:
        raise GatewayError(f"the gateway closed the connection: {_reason(closed)}") from None
    except (OSError, TimeoutError, websockets.WebSocketException) as error:
        raise GatewayError(f"no gateway at {asked.url}: {error or 'it does not answer'}") from None
    raise GatewayError("the gateway closed the connection before it answered")


async def states(asked: Wish, note: list[str]) -> AsyncGenerator[dict[str, Any], None]:
    """The states of a feed, for ever: after a lost connection it comes back with back-off.

    `note` holds the one line that says how the connection is. Raises `GatewayError` where the gateway refuses.
    """
    retry_s = FIRST_RETRY_S
    while True:
        try:
            async with _connected(asked) as connection:
                await _subscribe(connection, asked)
                note[:], retry_s = ["connected"], FIRST_RETRY_S
                async for message in connection:
                    document = json.loads(message)
                    if "data" in document:
                        yield document
                note[:] = ["the gateway closed the connection"]
        except websockets.ConnectionClosed as closed:
            if closed.rcvd is not None and 5000 > closed.rcvd.code >= FINAL_CODE:
                raise GatewayError(f"the gateway closed the connection: {_reason(closed)}") from None
            note[:] = [_reason(closed)]
        except (OSError, TimeoutError, websockets.WebSocketException) as error:
            note[:] = [f"no gateway at {asked.url}: {error or 'it does not answer'}"]
        # Jitter: a gateway that starts again is not met by all its clients at once.
        wait_s = retry_s * random.uniform(0.8, 1.2)
        note[:] = [f"{note[0]}; trying again in {wait_s:.0f} s"]
        await asyncio.sleep(wait_s)
        retry_s = min(retry_s * 2, MAX_RETRY_S)


def _connected(asked: Wish) -> connect:
    headers = {} if asked.key is None else {"Authorization": f"Bearer {asked.key}"}
    return connect(asked.url, additional_headers=headers, max_size=None, open_timeout=REPLY_TIMEOUT_S)


async def _subscribe(connection: ClientConnection, asked: Wish) -> None:
    """Subscribe, to the symbol of the same letters in other case where there is only that one, with a word of it.

    Raises `GatewayError` where the gateway does not take the subscription, or the feed's name may mean several.
    """
    similar = await _subscribed(connection, asked, asked.feed)
    if not similar:
        return
    if len(similar) > 1:
        there = ", ".join(similar)
        raise GatewayError(f"there is no {asked.feed}; there are {there}: upper and lower case tell symbols apart")
    sys.stderr.write(f"there is no {asked.feed}: this is {similar[0]}\n")
    await connection.send(json.dumps({"action": "unsubscribe", "feed": asked.feed}))
    await connection.recv()
    await _subscribed(connection, asked, similar[0])


async def _subscribed(connection: ClientConnection, asked: Wish, feed: str) -> list[str]:
    """Subscribe to a feed; what its name may mean in letters of another case, where it is none itself."""
    request = {"action": "subscribe", "id": "watch", "feed": feed, "envelope": True, **asked.options}
    await connection.send(json.dumps(request))
    answer = json.loads(await connection.recv())
    if answer.get("status") == "error":
        raise GatewayError(f"the gateway refused: {answer['message']} ({answer['code']})")
    if answer.get("status") != "subscribed":
        # It closes the connection now, with a code that says more.
        await connection.recv()
    return list(answer.get("similar", ()))


def _reason(closed: websockets.ConnectionClosed) -> str:
    if closed.rcvd is None:
        return "the connection to the gateway was lost"
    return f"{closed.rcvd.reason or 'closed'} ({closed.rcvd.code})"


async def watch(asked: Wish, console: Console, count: int | None) -> None:
    """Show a feed until interrupted, or `count` states of it; where there is no terminal, each as a line of JSON."""
    if not console.is_terminal:
        async with aclosing(states(asked, [""])) as following:
            async for number in _printed(following):
                if number == count:
                    return
        return
    shown: dict[str, Any] = {}
    note = [f"connecting to {asked.url}"]
    with Live(
        console=console, auto_refresh=True, refresh_per_second=4, get_renderable=lambda: screen(asked, shown, note)
    ):
        async with aclosing(states(asked, note)) as following:
            number = 0
            async for document in following:
                shown[document["feed"]] = document["data"]
                number += 1
                if number == count:
                    return


async def _printed(following: AsyncIterator[dict[str, Any]]) -> AsyncIterator[int]:
    number = 0
    async for document in following:
        number += 1
        sys.stdout.write(json.dumps(document) + "\n")
        sys.stdout.flush()
        yield number


def screen(asked: Wish, shown: Mapping[str, Any], note: list[str]) -> Group:
    """The newest state of each feed: lists and rows as one table, anything else as JSON."""
    rows = [row for data in shown.values() for row in (data if isinstance(data, list) else [data])]
    foot = Text(f"{asked.feed}  {len(rows)} rows  {note[0]}", style="dim")
    if not rows:
        return Group(foot)
    if not all(isinstance(row, dict) and "symbol" in row for row in rows):
        # As ASCII: a JSON text may hold the control characters of Latin-1 as they are.
        return Group(*(JSON(json.dumps(data), ensure_ascii=True) for data in shown.values()), foot)
    names = columns(rows[0], asked.options.get("fields"))
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in names:
        table.add_column(name, justify="left" if isinstance(rows[0].get(name), str) else "right", no_wrap=True)
    for row in rows:
        table.add_row(*(Text(cell(row.get(name)), _style(name, row.get(name))) for name in names))
    return Group(table, foot)


def columns(row: Mapping[str, Any], fields: list[str] | None) -> list[str]:
    """The columns of a table of such rows: those asked for, else those that people look at first."""
    if fields:
        return list(dict.fromkeys(["symbol", *fields]))
    if "pct_change" in row:
        return [name for name in _QUOTE_COLUMNS if name in row]
    return [name for name, value in row.items() if not isinstance(value, (dict, list))][:MAX_COLUMNS]


def cell(value: Any) -> str:
    """A value for people: thousands apart, as many decimals as matter, - for null."""
    if value is None:
        return "-"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return printable(str(value))
    return f"{value:,.0f}" if abs(value) >= 10_000 or value == int(value) else f"{value:,.2f}"


def _style(name: str, value: Any) -> str:
    if not isinstance(value, (int, float)) or "change" not in name:
        return ""
    return "green" if value > 0 else "red" if value < 0 else ""
