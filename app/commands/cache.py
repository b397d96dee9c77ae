"""`tapereader cache`: warm it, look at it, delete from it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from app import clock
from app.errors import TapereaderError
from app.market.events import Reference
from app.reference.cache import MarketDataCache
from app.reference.filling import MarketFilling
from app.reference.opening import open_cache
from app.reference.records import Kind, State
from app.reference.warm import Warmed, warm
from app.reference.whole_market import Part, WholeMarket
from app.settings import Settings

cache_app = typer.Typer(help="Warm, show and clear the cache of reference data.", no_args_is_help=True)
out, err = Console(), Console(stderr=True)

T = TypeVar("T")

Kinds = Annotated[list[Kind] | None, typer.Option("--kind", help="Kinds of values; all where none is given.")]


def _with_cache(work: Callable[[MarketDataCache], Awaitable[T]]) -> T:
    async def run() -> T:
        async with open_cache(Settings.load()) as cache:
            return await work(cache)

    try:
        return asyncio.run(run())
    except TapereaderError as error:
        err.print(f"[red]{error}[/red]")
        raise typer.Exit(1) from None


@cache_app.command("warm")
def warm_command(
    tickers: Annotated[list[str] | None, typer.Argument(help="Tickers to have in the cache.")] = None,
    file: Annotated[Path | None, typer.Option(help="A file with a ticker a line.")] = None,
    kind: Kinds = None,
    concurrency: Annotated[int, typer.Option(min=1, max=1000, help="Values asked for at a time.")] = 64,
) -> None:
    """Have the values of tickers in the cache, of the whole market where none is named.

    The whole market takes a handful of requests; what is there of single tickers is not fetched again.
    Example: `tapereader cache warm`, `tapereader cache warm AAPL MSFT`, `… --file symbols.txt --kind snapshots`.
    """
    wanted = [*(tickers or []), *(file.read_text(encoding="utf-8").split() if file else [])]
    if not wanted and (file is not None or kind):
        err.print("[red]error: expected tickers, as arguments or one a line in --file; there was none[/red]")
        raise typer.Exit(2)
    if not wanted:
        _warm_whole_market()
        return
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=err) as bar:
        task = bar.add_task("warming", total=None)

        async def work(cache: MarketDataCache) -> Warmed:
            return await warm(
                cache, wanted, kind or list(Kind), concurrency=concurrency,
                progress=lambda done, total: bar.update(task, completed=done, total=total),
            )  # fmt: skip

        warmed = _with_cache(work)
    out.print(f"{warmed.asked} values: " + ", ".join(f"{count} {state}" for state, count in warmed.states.items()))
    if warmed.states.get(State.FAILED) or warmed.states.get(State.UNAVAILABLE):
        raise typer.Exit(1)


def _warm_whole_market() -> None:
    with Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), console=err) as bar:
        task = bar.add_task("asking for the whole market", total=len(Part))

        def done(part: Part, symbols: int) -> None:
            bar.update(task, advance=1, description=f"{part.value.replace('_', ' ')}: {symbols:,} symbols")

        async def work(cache: MarketDataCache) -> WholeMarket:
            calendar = clock.trading_calendar()
            day = await MarketFilling(cache, calendar, _tell_nobody).market_day()
            if day is None:
                raise TapereaderError("the vendor's clock cannot be read: is REST reached? See `tapereader doctor`")
            market = WholeMarket(cache, calendar, day, done)
            await market.gather()
            await market.gather_daily_volumes()
            return market

        market = _with_cache(work)
    out.print(f"{len(market.symbols):,} symbols for {market.day}")
    if market.refused:
        out.print("not in the plan of the API key: " + ", ".join(sorted(part.value for part in market.refused)))
    for part, reason in market.failed.items():
        err.print(f"[red]error: {part.value}: {reason}; run it again[/red]")
    if market.failed:
        raise typer.Exit(1)


async def _tell_nobody(_: Iterable[Reference]) -> None:
    """The command fills the cache only: workers write the topic."""


@cache_app.command("stats")
def stats_command(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """How many values Redis holds, and what the caches of all running processes did."""

    async def work(cache: MarketDataCache) -> dict[str, object]:
        return {"values": await cache.key_counts(), "fleet": await cache.fleet_statistics()}

    found = msgspec.to_builtins(_with_cache(work))
    if as_json:
        typer.echo(msgspec.json.encode(found).decode())
        return
    table = Table("what", "count")
    for kind, count in found["values"].items():
        table.add_row(f"values: {kind}", f"{count:,}")
    fleet = found["fleet"]
    table.add_row("processes", str(fleet["processes"]))
    for layer in ("memory", "redis"):
        rate = fleet[f"{layer}_hit_rate"]
        table.add_row(f"hit rate: {layer}", "-" if rate is None else f"{rate:.1%}")
    for name, count in fleet["counts"].items():
        if isinstance(count, int):
            table.add_row(name.replace("_", " "), f"{count:,}")
    out.print(table)


@cache_app.command("get")
def get_command(ticker: str, kind: Kinds = None) -> None:
    """Print a ticker's values as JSON, with their state and age."""

    async def work(cache: MarketDataCache) -> dict[str, object]:
        return {str(each): await cache.get(each, ticker) for each in kind or list(Kind)}

    found = _with_cache(work)
    typer.echo(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())


@cache_app.command("delete")
def delete_command(tickers: list[str], kind: Kinds = None) -> None:
    """Delete tickers' values from Redis and from the memory of all processes."""

    async def work(cache: MarketDataCache) -> int:
        await cache.store.ping()  # deleting says nothing where Redis is down, and a person should know
        return sum([await cache.forget(each, ticker) for ticker in tickers for each in kind or list(Kind)])

    out.print(f"{_with_cache(work)} values deleted")
