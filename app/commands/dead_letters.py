"""`tapereader dead-letters list|show|replay`: what could not be processed, and how to have it processed again."""

import asyncio
import base64
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from typing import Annotated, Any

import msgspec
import typer
from aiokafka.errors import KafkaError
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from app.errors import TapereaderError
from app.kafka import topics
from app.kafka.access import Brokers, KafkaAccess
from app.kafka.clients import new_producer
from app.kafka.consuming import consuming
from app.observability.printable import printable
from app.settings import Settings
from app.stream.letters import DeadLetter

dead_letters_app = typer.Typer(help="List, show and replay what could not be processed.", no_args_is_help=True)
out, err = Console(), Console(stderr=True)

#: The header of a replayed record: where it stood first.
REPLAYED_HEADER = "replayed_from"

KafkaPort = Annotated[int | None, typer.Option(help="Port of the Kafka that `up` starts.")]
Place = Annotated[str, typer.Argument(help="Where the record stood, as `list` shows it: topic[partition]@offset.")]
OfTopic = Annotated[str | None, typer.Option(help="Only those of this source topic.")]
_decode = msgspec.json.Decoder(DeadLetter).decode


def place_of(letter: DeadLetter) -> str:
    """`topic[partition]@offset` of the record that failed."""
    return f"{letter.topic}[{letter.partition}]@{letter.offset}"


async def read_letters(brokers: Brokers) -> AsyncGenerator[tuple[bytes | None, DeadLetter], None]:
    """Every dead letter up to the end as it is now, with the key of the record that failed.

    A record that several tables refused has a letter from each; only the first is given.
    Raises `KafkaError` when the broker does not answer.
    """
    name = topics.DEAD_LETTERS.name
    async with consuming(brokers, "dead-letters", name, auto_offset_reset="earliest") as consumer:
        parts = sorted(consumer.assignment())
        ends = await consumer.end_offsets(parts)
        seen: set[str] = set()
        while any([await consumer.position(part) < end for part, end in ends.items()]):
            for found in (await consumer.getmany(timeout_ms=500)).values():
                for record in found:
                    letter = _decode(record.value)
                    if place_of(letter) not in seen:
                        seen.add(place_of(letter))
                        yield record.key, letter


async def replay_letters(brokers: Brokers, wanted: Callable[[DeadLetter], bool]) -> tuple[int, int]:
    """Append the wanted letters' records to their source topics again; how many were, how many have no value.

    A record is appended under its key, at the partition where it stood, with a header that says so.
    What was not delivered to the tables before is then folded like any other record.
    """
    replayed, empty = 0, 0
    producer = new_producer(brokers, "dead-letters", enable_idempotence=True, acks="all")
    await producer.start()
    try:
        async for key, letter in read_letters(brokers):
            if not wanted(letter):
                continue
            value = value_of(letter)
            if value is None:
                empty += 1
                continue
            header = [(REPLAYED_HEADER, place_of(letter).encode())]
            await producer.send_and_wait(letter.topic, value, key, partition=letter.partition, headers=header)
            replayed += 1
    finally:
        await producer.stop()
    return replayed, empty


def value_of(letter: DeadLetter) -> bytes | None:
    """The record's value as it was; None for a stretch of which nothing could be read."""
    if letter.value is not None:
        return letter.value.encode()
    return None if letter.value_base64 is None else base64.b64decode(letter.value_base64)


@dead_letters_app.command("list")
def list_letters(topic: OfTopic = None, kafka_port: KafkaPort = None) -> None:
    """Where each record stood that could not be processed, and why."""

    async def job(settings: Settings) -> None:
        table = Table("place", "key", "reason", box=None, header_style="bold")
        async for key, letter in read_letters(KafkaAccess.of(settings)):
            if topic in (None, letter.topic):
                shown = (place_of(letter), (key or b"").decode(errors="replace"), letter.reason)
                # As text: what is in a dead letter is neither markup nor for the terminal.
                table.add_row(*(Text(printable(each)) for each in shown))
        out.print(table if table.row_count else "no dead letters")

    _run(job, kafka_port)


@dead_letters_app.command("show")
def show_letter(place: Place, kafka_port: KafkaPort = None) -> None:
    """One dead letter as JSON, the record's value included."""

    async def job(settings: Settings) -> None:
        async with aclosing(read_letters(KafkaAccess.of(settings))) as letters:
            async for _, letter in letters:
                if place_of(letter) == place:
                    sys.stdout.write(msgspec.json.format(msgspec.json.encode(letter), indent=1).decode() + "\n")
                    return
        raise TapereaderError(f"no dead letter for {place}; `tapereader dead-letters list` shows what there is")

    _run(job, kafka_port)


@dead_letters_app.command("replay")
def replay(
    place: Annotated[str | None, typer.Argument(help="topic[partition]@offset of one record.")] = None,
    topic: OfTopic = None,
    everything: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    kafka_port: KafkaPort = None,
) -> None:
    """Append records to their source topics again, after what refused them was mended.

    Examples: `tapereader dead-letters replay 'massive.trades[3]@4711'`,
    `tapereader dead-letters replay --topic massive.trades`.
    """
    if (place is not None) + (topic is not None) + everything != 1:
        raise typer.BadParameter("expected one of a place, --topic or --all")

    async def job(settings: Settings) -> None:
        replayed, empty = await replay_letters(
            KafkaAccess.of(settings),
            lambda letter: everything or place_of(letter) == place or letter.topic == topic,
        )
        if place is not None and not replayed and not empty:
            raise TapereaderError(f"no dead letter for {place}; `tapereader dead-letters list` shows what there is")
        out.print(f"{replayed} replayed, {empty} without a value to replay")

    _run(job, kafka_port)


def _run(job: Callable[[Settings], Coroutine[Any, Any, None]], kafka_port: int | None) -> None:
    try:
        asyncio.run(job(Settings.load(kafka_port=kafka_port)))
    except (TapereaderError, KafkaError, OSError) as error:
        text = escape(printable(str(error), keep="\n"))
        err.print(f"[red]error:[/] {text}", highlight=False, soft_wrap=True, markup=True)
        raise typer.Exit(1) from None
