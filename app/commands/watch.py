"""`tapereader watch FEED` and `get FEED`."""

import json
import sys
from typing import Annotated

import typer

from app.commands.console import out, run
from app.commands.following import get, wish
from app.commands.following import watch as follow
from app.settings import Settings

watch_app = typer.Typer()
get_app = typer.Typer()

Feed = Annotated[str, typer.Argument(help="Such as scanners:top_gainers, quote:AAPL, scan:quotes; * for any.")]
GatewayUrl = Annotated[str | None, typer.Option(help="The gateway's address; else that of this machine's.")]
GatewayKey = Annotated[str | None, typer.Option(help="API key or token.", envvar="TAPEREADER_GATEWAY_API_KEY")]
FeedLimit = Annotated[int | None, typer.Option(help="The first rows only.")]
FeedFields = Annotated[str | None, typer.Option(help="These fields only, comma-separated.")]
FeedFilter = Annotated[str | None, typer.Option(help="The rows that match, such as 'pct_change > 10'.")]
FeedSort = Annotated[str | None, typer.Option(help="Order of a scan: a field, with - before it for falling.")]


@watch_app.command()
def watch(
    feed: Feed,
    limit: FeedLimit = None,
    fields: FeedFields = None,
    max_rate: Annotated[float | None, typer.Option(help="At most so many states a second.")] = None,
    filter: FeedFilter = None,
    sort: FeedSort = None,
    url: GatewayUrl = None,
    key: GatewayKey = None,
    count: Annotated[int | None, typer.Option(min=1, help="End after so many states.")] = None,
) -> None:
    """Follow a feed in the terminal; into a pipe, as lines of JSON. Ctrl-C ends it.

    Examples: `tapereader watch scanners:top_gainers --limit 20`,
    `tapereader watch scan:quotes --filter 'pct_change > 10 and close < 20' --sort=-pct_change`.
    """

    async def job(settings: Settings) -> None:
        options = {"limit": limit, "fields": _listed(fields), "max_rate": max_rate, "filter": filter, "sort": sort}
        await follow(wish(feed, settings, url, key, **options), out, count)

    run(job)


@get_app.command()
def get_feed(
    feed: Feed,
    limit: FeedLimit = None,
    fields: FeedFields = None,
    filter: FeedFilter = None,
    sort: FeedSort = None,
    url: GatewayUrl = None,
    key: GatewayKey = None,
) -> None:
    """Print a feed's present state as JSON, null where there is none; of a pattern, a line for each feed."""

    async def job(settings: Settings) -> None:
        options = {"limit": limit, "fields": _listed(fields), "filter": filter, "sort": sort}
        found = await get(wish(feed, settings, url, key, **options))
        if "*" in feed:
            sys.stdout.writelines(json.dumps({"feed": each["feed"], "data": each["data"]}) + "\n" for each in found)
        else:
            sys.stdout.write(json.dumps(found[0]["data"] if found else None) + "\n")

    run(job)


def _listed(text: str | None) -> list[str] | None:
    return None if text is None else [each.strip() for each in text.split(",") if each.strip()]
