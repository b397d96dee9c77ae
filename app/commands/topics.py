"""`tapereader topics list|create|check|backup|restore|repartition|repair|take-over|delete`: the Kafka topics."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from app.analyzers import installed
from app.clock import trading_calendar, wall_s
from app.commands.console import KafkaPort, out, progress, run
from app.kafka.backup import backup, delete, repartition, restore
from app.kafka.declared import check_declared, ensure_declared
from app.kafka.owner import take_over
from app.kafka.repair import UNBOUNDED, Wanted, look, remove, told
from app.kafka.topics import ALL_TOPICS, TopicSpec
from app.market.bounds import AHEAD_MS
from app.observability.printable import printable
from app.settings import Settings, Source

#: Rows that are shown one by one.
MOST_SHOWN = 50

topics_app = typer.Typer(
    help="List, create and check the Kafka topics; back their tables up; give them more partitions.",
    no_args_is_help=True,
)


@topics_app.command("list")
def topics_list(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with the broker's settings.")] = False,
) -> None:
    """The topics that the platform uses."""
    if as_json:
        sys.stdout.write(json.dumps([_described(spec) for spec in ALL_TOPICS], indent=2) + "\n")
        return
    table = Table("topic", "key", "cleanup", "what", box=None, header_style="bold")
    for spec in ALL_TOPICS:
        table.add_row(spec.name, spec.key, spec.cleanup, spec.describes)
    out.print(table)


def _described(spec: TopicSpec) -> dict[str, Any]:
    return {
        "name": spec.declared,
        "key": spec.key,
        "describes": spec.describes,
        "single_partition": spec.single_partition,
        "config": dict(spec.config()),
    }


@topics_app.command("create")
def topics_create(kafka_port: KafkaPort = None) -> None:
    """Create the topics that are missing and check the others."""

    async def job(settings: Settings) -> None:
        made = await ensure_declared(settings, ALL_TOPICS)
        out.print(f"{len(made)} made, {len(ALL_TOPICS) - len(made)} there already")

    run(job, kafka_port=kafka_port)


@topics_app.command("check")
def topics_check(kafka_port: KafkaPort = None) -> None:
    """Check that every topic is there and as declared; the exit code is 1 when one is not."""

    async def job(settings: Settings) -> None:
        await check_declared(settings, ALL_TOPICS)
        out.print(f"{len(ALL_TOPICS)} topics are as declared")

    run(job, kafka_port=kafka_port)


BackupFile = Annotated[Path, typer.Argument(help="File of rows, such as tables.ndjson.zst.")]


def _told(counts: dict[str, int]) -> str:
    return "  ".join(f"{name} {count:,}" for name, count in counts.items())


@topics_app.command("backup")
def topics_backup(file: BackupFile, kafka_port: KafkaPort = None) -> None:
    """Write the rows of every table into a compressed file; what runs may go on running."""

    async def job(settings: Settings) -> None:
        with progress("backing up") as advance:
            counts = await backup(settings, file, installed(settings), advance)
        out.print(f"{sum(counts.values()):,} rows in {file}: {_told(counts)}", soft_wrap=True)

    run(job, kafka_port=kafka_port)


@topics_app.command("restore")
def topics_restore(file: BackupFile, kafka_port: KafkaPort = None) -> None:
    """Write a backup's rows into empty tables; makes the topics that are missing."""

    async def job(settings: Settings) -> None:
        with progress("restoring") as advance:
            counts = await restore(settings, file, installed(settings), advance)
        out.print(f"{sum(counts.values()):,} rows from {file}: {_told(counts)}", soft_wrap=True)

    run(job, kafka_port=kafka_port)


@topics_app.command("repartition")
def topics_repartition(
    file: BackupFile,
    to: Annotated[int, typer.Option(min=1, max=512, help="Partitions of every topic from now on.")],
    kafka_port: KafkaPort = None,
) -> None:
    """Give every topic another number of partitions and keep the tables; raw events are not kept.

    Producer and workers must be stopped, with every event processed. The rows go into FILE first.
    Then set TAPEREADER_PARTITIONS to the new number everywhere and start again.
    """

    async def job(settings: Settings) -> None:
        counts = await repartition(settings, to, file, installed(settings))
        out.print(f"{sum(counts.values()):,} rows in {to} partitions: {_told(counts)}", soft_wrap=True)
        out.print(f"set TAPEREADER_PARTITIONS={to} everywhere, then start the workers and the producer")

    run(job, kafka_port=kafka_port)


@topics_app.command("repair")
def topics_repair(
    symbol: Annotated[
        list[str] | None, typer.Option(help="Rows of this symbol, its exact letters; may be given several times.")
    ] = None,
    beyond: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M"], help="Rows of a later time (UTC) than this."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Remove them; without it they are only shown.")] = False,
    kafka_port: KafkaPort = None,
) -> None:
    """Look for rows that should not be in the tables, and remove them.

    Looked for are rows of a time that cannot be yet (a minute ahead of now; with the simulated market, whose clock
    is its own, only what --beyond says), rows that cannot be read, and those of the symbols that are named. They are
    shown. With --yes, while no worker runs, they are removed: the next event of a symbol begins its row anew.

    Examples: `tapereader topics repair`, `tapereader topics repair --symbol ABCw --yes`.
    """

    async def job(settings: Settings) -> None:
        wanted = Wanted.of(_limit_ms(settings, beyond), symbol or (), trading_calendar())
        with progress("removing" if yes else "looking") as advance:
            found = await (remove if yes else look)(settings, wanted, installed(settings), advance)
        if not found:
            out.print("no row is to be removed")
            return
        table = Table("row", "key", "why", box=None, header_style="bold")
        for each in found[:MOST_SHOWN]:
            shown = (f"{each.spec.name}[{each.partition}]", each.key.decode(errors="replace"), each.reason)
            table.add_row(*(Text(printable(text)) for text in shown))
        out.print(table)
        if len(found) > MOST_SHOWN:
            out.print(f"and {len(found) - MOST_SHOWN:,} more")
        what = "removed" if yes else "to be removed: stop the workers, then say --yes"
        out.print(f"{len(found):,} rows {what}: {_told(told(found))}", soft_wrap=True)

    run(job, kafka_port=kafka_port)


def _limit_ms(settings: Settings, beyond: datetime | None) -> float:
    if beyond is not None:
        return beyond.replace(tzinfo=UTC).timestamp() * 1000
    return UNBOUNDED if settings.source is Source.SIMULATOR else wall_s() * 1000 + AHEAD_MS


@topics_app.command("take-over")
def topics_take_over(
    yes: Annotated[bool, typer.Option("--yes", help="Really.")] = False, kafka_port: KafkaPort = None
) -> None:
    """Make the topics those of this platform (TAPEREADER_APP_ID), where they were another's.

    For a platform that gets another app id. The other's workers must be stopped and stay so: from now on they refuse
    to start.
    """
    if not yes:
        raise typer.BadParameter("workers of the owner cannot start any more; say --yes where that is meant")

    async def job(settings: Settings) -> None:
        owner = await take_over(settings)
        out.print(f"the topics were {'nobody' if owner is None else owner}'s and are {settings.app_id}'s now")

    run(job, kafka_port=kafka_port)


@topics_app.command("delete")
def topics_delete(
    yes: Annotated[bool, typer.Option("--yes", help="Really.")] = False, kafka_port: KafkaPort = None
) -> None:
    """Delete every topic of the platform with all that is in it; workers must be stopped."""
    if not yes:
        raise typer.BadParameter("this deletes every table and every event; say --yes where that is meant")

    async def job(settings: Settings) -> None:
        out.print(f"{await delete(settings, installed(settings))} topics deleted")

    run(job, kafka_port=kafka_port)
