"""Analyzers of one's own: a fold over a raw or public topic with a table, in one file.

    python -m app.analyzers

runs every analyzer that is found: those that installed packages name under the entry point
`tapereader.analyzers`, and those of the setting `analyzers` (`module:attribute`). They run in
workers of their own with a consumer group of their own, so that what goes wrong in one does not
touch the platform's tables. `docs/analyzers.md` shows how to write one.
"""

import asyncio
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import entry_points
from typing import Any, Generic, NoReturn, TypeVar

import msgspec
import structlog

from app.errors import SettingsError
from app.kafka import topics
from app.kafka.access import KafkaAccess
from app.kafka.backup import Installed
from app.kafka.topics import TopicSpec
from app.observability import tracing
from app.observability.engine import surroundings
from app.settings import Settings
from app.stream import BatchedTable, PartitionView, RecordBatch, RecordBatchSchema
from app.stream.dead_letters import DeadLetterWriter
from app.stream.folded import Foldable, FoldedTable

log = structlog.get_logger(__name__)
GROUP = "tapereader.analyzers"
Row = TypeVar("Row")
Event = TypeVar("Event")


@dataclass(frozen=True)
class Analyzer(Generic[Row]):
    """Rows by key, folded from a topic: `fold(view, batch)` sets rows, `row` is their type.

    `source` is the topic that is read and `table` the compacted topic that holds the rows; at the broker both have
    the prefix of the platform. `key` says what the rows' keys are: `symbol`, or `symbol/…` with as many parts behind
    the symbol. A fold that raises leaves nothing behind; the record that made it raise goes to the dead letters.
    """

    name: str
    source: str
    table: str
    row: type[Row]
    fold: Callable[[PartitionView[Row], RecordBatch], None]
    key: str = "symbol"


@dataclass(frozen=True)
class InPlaceAnalyzer(Generic[Event]):
    """State that is changed in place and written in pieces, for what is too large to copy.

    `decode_events` makes one event of each record of a JSON array or raises, `make(partition)` a
    partition's state.
    """

    name: str
    source: str
    table: str
    decode_events: Callable[[bytes], list[Event]]
    make: Callable[[int], Foldable[Event]]
    key: str = "symbol"


AnyAnalyzer = Analyzer[Any] | InPlaceAnalyzer[Any]


def discover(settings: Settings) -> list[AnyAnalyzer]:
    """All analyzers, by name. Raises `SettingsError`: one cannot be loaded, or a name or table is there twice."""
    found: dict[str, AnyAnalyzer] = {}
    places: list[tuple[str, Callable[[], Any]]] = [(entry.value, entry.load) for entry in entry_points(group=GROUP)]
    places += [(place, partial(_load, place)) for place in settings.analyzers]
    taken = set(topics.BY_DECLARED)
    for place, load in places:
        try:
            analyzer = load()
        except Exception as error:
            raise SettingsError(f"the analyzer {place} cannot be loaded: {type(error).__name__}: {error}") from error
        if not isinstance(analyzer, (Analyzer, InPlaceAnalyzer)):
            raise SettingsError(f"the analyzer {place}: expected an Analyzer, was {type(analyzer).__name__}")
        if analyzer.key.split("/")[0] != "symbol":
            raise SettingsError(f"the analyzer {place}: expected a key of `symbol` or `symbol/…`, was {analyzer.key!r}")
        if analyzer.name in found or analyzer.table in taken:
            raise SettingsError(f"the analyzer {place}: its name {analyzer.name} or table {analyzer.table} is taken")
        taken.add(analyzer.table)
        found[analyzer.name] = analyzer
    return list(found.values())


def _load(place: str) -> Any:
    module, _, attribute = place.partition(":")
    return getattr(importlib.import_module(module), attribute)


def table_of(analyzer: AnyAnalyzer) -> TopicSpec:
    """The declaration of an analyzer's table."""
    return TopicSpec(analyzer.table, analyzer.key, f"table of the analyzer {analyzer.name}", cleanup="compact")


def source_of(analyzer: AnyAnalyzer) -> str:
    """The topic that an analyzer reads, as the broker has it: one of the platform's, or any other by its full name."""
    spec = topics.BY_DECLARED.get(analyzer.source)
    return analyzer.source if spec is None else spec.name


def installed(settings: Settings) -> Installed:
    """What the analyzers have at the broker: their consumer group, what it reads, their tables."""
    analyzers = discover(settings)
    return Installed(
        group_of(settings),
        tuple({source_of(found) for found in analyzers}),
        tuple(table_of(found) for found in analyzers),
    )


def group_of(settings: Settings) -> str:
    """The consumer group of the analyzers' workers."""
    return f"{settings.app_id}-analyzers"


def attach(app: Any, analyzer: AnyAnalyzer) -> BatchedTable[Any]:
    """Give an app the table and the agent of an analyzer; the table."""
    common: dict[str, Any] = {
        "name": analyzer.name,
        "changelog_topic": app.topic(table_of(analyzer).name, schema=RecordBatchSchema()),
        "sources": [source_of(analyzer)],
        "dead_letters": DeadLetterWriter(app, topics.DEAD_LETTERS.name),
    }
    if isinstance(analyzer, InPlaceAnalyzer):
        decode = analyzer.decode_events
        in_place = FoldedTable[Any](
            app, make=analyzer.make, decode_events=lambda batch: batch.decoded(decode), **common
        )

        async def run(stream: Any) -> None:
            async for event in stream.events():
                await in_place.fold_events(event.value, event.message)

        table: BatchedTable[Any] = in_place
    else:
        fold = analyzer.fold
        rows = BatchedTable[Any](
            app, encode=msgspec.json.Encoder().encode, decode=msgspec.json.Decoder(analyzer.row).decode, **common
        )

        async def run(stream: Any) -> None:
            async for event in stream.events():
                await rows.fold(event.value, fold, event.message)

        table = rows
    app.agent(app.topic(source_of(analyzer), schema=RecordBatchSchema()), name=analyzer.name)(run)
    return table


async def _ready(settings: Settings, specs: list[TopicSpec]) -> frozenset[str]:
    """Make the tables' topics, of a platform that is ours; the groups of analyzers whose tables they were before."""
    from app.kafka.declared import ensure_declared
    from app.kafka.owner import claim_topics

    await ensure_declared(settings, [*specs, topics.OWNER])
    before = await claim_topics(settings)
    return frozenset(group_of(settings.model_copy(update={"app_id": app_id})) for app_id in before)


def run_analyzers(settings: Settings) -> NoReturn:
    """Run one worker with every analyzer until it is told to stop; it makes their tables' topics.

    Raises `SettingsError`: there is none, or one cannot be loaded.
    """
    from mode.loop import use

    from app.observability.workers import WorkerHttp
    from app.stream import running as engine
    from app.stream.application import batched_app

    analyzers = discover(settings)
    if not analyzers:
        raise SettingsError(f"no analyzer is there: expected an entry point {GROUP}, or TAPEREADER_ANALYZERS")
    specs = [table_of(analyzer) for analyzer in analyzers]
    predecessors = asyncio.run(_ready(settings, specs))
    use("uvloop")
    asyncio.set_event_loop(asyncio.new_event_loop())
    app = batched_app(
        group_of(settings),
        KafkaAccess.of(settings),
        partitions=settings.partitions,
        session_timeout_ms=settings.session_timeout_ms,
        standbys=settings.standbys,
        surroundings=surroundings(topics.RECEIVED_NS_HEADER),
    )
    app.predecessors = predecessors
    for analyzer in analyzers:
        attach(app, analyzer)
    tracing.configure(settings, "analyzers")
    engine.run_worker(app, WorkerHttp(app, settings), stall_timeout_s=settings.stall_timeout_s, at_exit=tracing.close)


if __name__ == "__main__":
    # Not as __main__: the classes that analyzers import must be the ones that are looked for here.
    from app.analyzers import run_analyzers as run

    run(Settings.load())
