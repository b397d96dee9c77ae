"""Every Faust topic and table, declared once from `app.topics`."""

import msgspec

from app import topics
from app.main import app, settings
from app.market.boards import Leaderboard
from app.market.events import Reference
from app.market.rows import QuoteRow
from app.stream import BatchedTable, RecordBatchSchema
from app.stream.dead_letters import DeadLetterWriter

_encode = msgspec.json.Encoder().encode


def _batched(spec: topics.TopicSpec):  # type: ignore[no-untyped-def]
    return app.topic(spec.name, schema=RecordBatchSchema())


dead_letters = DeadLetterWriter(app, topics.DEAD_LETTERS.name)

aggregates = _batched(topics.AGGREGATES)
raw_reference = _batched(topics.REFERENCE)
partition_tops = _batched(topics.PARTITION_TOPS)

#: Reference data of each symbol; null until known.
reference = BatchedTable[Reference](
    app,
    name="reference",
    changelog_topic=_batched(topics.MARKET_REFERENCE),
    sources=[topics.REFERENCE.name],
    encode=_encode,
    decode=msgspec.json.Decoder(Reference).decode,
    dead_letters=dead_letters,
)

#: The row of each symbol; an aggregate changes it, and so does new reference data.
quotes = BatchedTable[QuoteRow](
    app,
    name="quotes",
    changelog_topic=_batched(topics.MARKET_QUOTES),
    sources=[topics.AGGREGATES.name, topics.REFERENCE.name],
    encode=_encode,
    decode=msgspec.json.Decoder(QuoteRow).decode,
    dead_letters=dead_letters,
)

#: The published boards; made anew from the partitions' tops, so it covers no source offset.
leaderboards = BatchedTable[Leaderboard](
    app,
    name="leaderboards",
    changelog_topic=_batched(topics.LEADERBOARDS),
    sources=[],
    encode=_encode,
    decode=msgspec.json.Decoder(Leaderboard).decode,
    dead_letters=dead_letters,
)

PARTITIONS = settings.partitions
