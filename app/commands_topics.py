"""`tapereader topics list|create|check`: the Kafka topics."""

import json
import sys
from typing import Annotated, Any

import typer
from rich.table import Table

from app.console import KafkaPort, out, run
from app.kafka_access import KafkaAccess
from app.settings import Settings
from app.topic_admin import check_topics, ensure_declared
from app.topics import ALL_TOPICS, TopicSpec

topics_app = typer.Typer(help="List, create and check the Kafka topics.", no_args_is_help=True)


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
        "name": spec.name,
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
        await check_topics(KafkaAccess.of(settings), ALL_TOPICS, settings.partitions)
        out.print(f"{len(ALL_TOPICS)} topics are as declared")

    run(job, kafka_port=kafka_port)
