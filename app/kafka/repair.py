"""Rows that should not be in the tables: looked for, and removed by tombstones.

A row is poisoned when it is of a time that cannot be yet (written before events had bounds, or by a wrong clock), or
cannot be read; a person may name a symbol, too. Removing writes into changelogs, whose only writer is the worker that
claimed the partition last (docs/engine.md). So it does as a worker does: it starts the producer with the partition's
transactional id, which fences whoever had it, claims, reads up to the claim, and writes what is covered again before
its tombstones, since a row that goes may be the one that says so.
"""

import math
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import ProducerFenced

from app.errors import UNREADABLE, TapereaderError
from app.kafka import topics
from app.kafka.access import COMPRESSION, KafkaAccess
from app.kafka.backup import Installed, Progress, check_stopped, reading, tables_there, take_in
from app.kafka.clients import new_producer
from app.kafka.owner import check_owner
from app.kafka.topics import MAX_MESSAGE_BYTES, TopicSpec
from app.market.bounds import newest_reference_day
from app.market.calendar import TradingCalendar
from app.market.daily_alerts import RangeRow
from app.market.events import Reference, epoch_ms
from app.market.halts import HaltState
from app.market.nbbo import Nbbo
from app.market.rows import QuoteRow
from app.market.symbols import Listing
from app.settings import Settings
from app.stream import covers
from app.stream.batches import RecordBatch
from app.stream.internals import start_fenced
from app.stream.partition import PartitionRecovery
from app.stream.producing import stop_producer

#: Fields of rows that hold a time (s, ms, µs or ns are told apart by their size).
TIMES: Final = ("timestamp", "start_timestamp", "end_timestamp", "halted_since", "resumed_at")


#: What a worker reads rows of the platform's tables as; of analyzers' tables and of the tape JSON is all that is known.
ROWS: Final[Mapping[TopicSpec, msgspec.json.Decoder[Any]]] = {
    topics.MARKET_QUOTES: msgspec.json.Decoder(QuoteRow),
    topics.MARKET_REFERENCE: msgspec.json.Decoder(Reference),
    topics.MARKET_SYMBOLS: msgspec.json.Decoder(Listing),
    topics.NBBO: msgspec.json.Decoder(Nbbo),
    topics.MARKET_HALTS: msgspec.json.Decoder(HaltState),
    topics.DAILY_RANGES: msgspec.json.Decoder(RangeRow),
}


@dataclass(frozen=True, slots=True)
class Found:
    """A row that is to go, and why."""

    spec: TopicSpec
    partition: int
    key: bytes
    reason: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rows are looked for: those of a time after `limit_ms` (epoch ms), unreadable ones, those of `symbols`."""

    limit_ms: float
    newest_day: str
    symbols: frozenset[str]

    @classmethod
    def of(cls, limit_ms: float, symbols: Iterable[str], calendar: TradingCalendar) -> "Wanted":
        """Rows of days that cannot be known at the limit count as well."""
        return cls(limit_ms, newest_reference_day(limit_ms, calendar), frozenset(symbols))

    def reason(self, spec: TopicSpec, symbol: str, value: bytes) -> str | None:
        """Why a table's row is one of them, None where it is not."""
        if symbol in self.symbols:
            return "the symbol was named"
        try:
            row = msgspec.json.decode(value)
            if spec in ROWS:
                ROWS[spec].decode(value)
        except UNREADABLE as error:
            return f"it cannot be read: {error}"
        found = row if isinstance(row, dict) else {}
        # A chunk of the tape: its number, the time of the window's last trade, the trades.
        times = [("last trade", row[1])] if isinstance(row, list) and len(row) > 1 else []
        times += [(name, found[name]) for name in TIMES if name in found]
        for name, stamp in times:
            if isinstance(stamp, int) and epoch_ms(stamp) > self.limit_ms:
                return f"its {name} is {_utc(epoch_ms(stamp))}"
        day = found.get("day")
        return f"its day is {day}" if isinstance(day, str) and day > self.newest_day else None


async def look(
    settings: Settings, wanted: Wanted, installed: Installed, progress: Progress | None = None
) -> list[Found]:
    """The rows that are to go, of all tables that are kept, analyzers' too; nothing is changed, workers may run."""
    specs = {spec.name: spec for spec in await tables_there(settings, installed)}
    found: list[Found] = []
    async with reading(settings, specs) as (consumer, parts):
        for number, part in enumerate(sorted(parts), 1):
            recovery = await _read(consumer, part)
            found += _unwanted(specs[part.topic], part.partition, recovery, wanted)
            if progress is not None:
                progress(number, len(parts))
    return found


async def remove(
    settings: Settings, wanted: Wanted, installed: Installed, progress: Progress | None = None
) -> list[Found]:
    """Remove the rows that are to go; which they were.

    Raises `TapereaderError` where workers run or one starts meanwhile, `TopicsTaken` where the topics are another
    platform's. What was removed until then stays so, and the command can be given again.
    """
    await check_owner(settings)
    await check_stopped(settings, installed)
    removed: list[Found] = []
    ours = {spec.name for spec in installed.tables}
    specs = {spec.name: spec for spec in await tables_there(settings, installed)}
    async with reading(settings, specs) as (consumer, parts):
        for number, part in enumerate(sorted(parts, key=lambda part: (part.partition, part.topic)), 1):
            group = installed.group if part.topic in ours else settings.app_id
            try:
                removed += await _remove_from(settings, group, consumer, part, specs[part.topic], wanted)
            except ProducerFenced:
                raise TapereaderError(
                    f"{part.topic}[{part.partition}]: a worker of group {group} took the partition over meanwhile; "
                    f"stop the workers, then do this again ({len(removed)} rows are removed)"
                ) from None
            if progress is not None:
                progress(number, len(parts))
    return removed


async def _remove_from(
    settings: Settings, group: str, consumer: AIOKafkaConsumer, part: TopicPartition, spec: TopicSpec, wanted: Wanted
) -> list[Found]:
    # A look without a claim first: a partition in which nothing is wrong keeps its owner.
    if not _unwanted(spec, part.partition, await _read(consumer, part), wanted):
        return []
    async with _fenced(settings, f"{group}/{part.partition}") as (producer, producer_id, epoch):

        async def write(key: bytes, value: bytes | None, header: tuple[str, bytes] | None = None) -> None:
            headers = [] if header is None else [header]
            await producer.send_and_wait(part.topic, value, key, partition=part.partition, headers=headers)

        await write(covers.CLAIM_KEY, None, covers.encode_claim(covers.Claim(group, epoch, producer_id)))
        # The claim is in the log: what is read now is all that there is, and nobody else can add to it.
        recovery = await _read(consumer, part)
        found = _unwanted(spec, part.partition, recovery, wanted)
        gone = {each.key for each in found}
        stays = ((key, value) for key, value in recovery.values.items() if key is not None and key not in gone)
        # A row is not compacted away as a tombstone would be within a day, before a worker starts.
        key, value = next(stays, (covers.COVERS_KEY, None))
        await write(key, value, covers.encode(covers.Covers(recovery.covers.after, recovery.covers.ids, epoch)))
        for each in found:
            await write(each.key, None)
        return found


def _unwanted(spec: TopicSpec, partition: int, recovery: PartitionRecovery[Any], wanted: Wanted) -> list[Found]:
    """Rows with a reason; where one part of a symbol's state has one, the others go with it."""
    reasons: dict[bytes, str] = {}
    for key, value in recovery.values.items():
        symbol = spec.symbol_of(key or b"")
        if (
            symbol not in reasons
            and (reason := wanted.reason(spec, symbol.decode("utf-8", "replace"), value)) is not None
        ):
            reasons[symbol] = reason
    return [
        Found(spec, partition, key, reasons[spec.symbol_of(key)])
        for key in recovery.values
        if key is not None and spec.symbol_of(key) in reasons
    ]


async def _read(consumer: AIOKafkaConsumer, part: TopicPartition) -> PartitionRecovery[Any]:
    """The rows of a partition as a worker would recover them now."""
    recovery: PartitionRecovery[Any] = PartitionRecovery(part.partition)
    consumer.assign([part])
    await consumer.seek_to_beginning(part)
    end = (await consumer.end_offsets([part]))[part]
    while await consumer.position(part) < end:
        for records in (await consumer.getmany(timeout_ms=500)).values():
            take_in(recovery, RecordBatch(part.topic, part.partition, records, records[-1].offset + 1))
    return recovery


@asynccontextmanager
async def _fenced(settings: Settings, transactional_id: str) -> AsyncIterator[tuple[AIOKafkaProducer, int, int]]:
    producer = new_producer(
        KafkaAccess.of(settings),
        "repair",
        transactional_id=transactional_id,
        compression_type=COMPRESSION,
        max_request_size=MAX_MESSAGE_BYTES,
    )
    try:
        yield producer, *await start_fenced(producer)
    finally:
        await stop_producer(producer)


def told(found: Sequence[Found]) -> dict[str, int]:
    """How many rows of each topic."""
    counts: dict[str, int] = {}
    for each in found:
        counts[each.spec.name] = counts.get(each.spec.name, 0) + 1
    return counts


def _utc(at_ms: int) -> str:
    try:
        return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds")
    except (ValueError, OverflowError, OSError):
        return f"{at_ms} ms"


#: No bound: a simulated market's clock may be anywhere.
UNBOUNDED: Final = math.inf
