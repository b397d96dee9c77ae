"""The contract: what the records of the topics are, made from the declarations and types in the code.

    tapereader contract write docs

writes an AsyncAPI 3 document of all topics (`asyncapi.yaml`) and the JSON Schema of each topic's records
(`schemas/TOPIC.json`). Types are described as msgspec derives it. Tests compare the files with the code.
"""

from pathlib import Path
from typing import Any

import msgspec

from app import __version__
from app.kafka import topics
from app.kafka.topics import TopicSpec
from app.market.daily_alerts import AlertRecord, RangeRow
from app.market.events import Aggregate, LimitUpLimitDown, MinuteAggregate, Quote, Reference, Trade
from app.market.feed_state import FeedState
from app.market.halts import HaltState
from app.market.nbbo import Nbbo
from app.market.rows import QuoteRow
from app.market.symbols import Listing
from app.market.window_merge import AllWindows, SymbolWindow
from app.stream.letters import DeadLetter


class RankedRow(QuoteRow, frozen=True, kw_only=True):
    """An entry of a board: a quote row with its rank, from 1."""

    rank: int


class Board(msgspec.Struct, frozen=True):
    """A record of `market.leaderboards`: its entries in the order of their rank."""

    board: str
    day: str
    published_ns: int
    entries: list[RankedRow]


#: What a record of each topic that others may read is.
RECORDS: dict[TopicSpec, tuple[type[msgspec.Struct], ...]] = {
    topics.AGGREGATES: (Aggregate, MinuteAggregate),
    topics.TRADES: (Trade,),
    topics.QUOTES: (Quote,),
    topics.HALTS: (LimitUpLimitDown,),
    topics.REFERENCE: (Reference,),
    topics.SYMBOLS: (Listing,),
    topics.DEAD_LETTERS: (DeadLetter,),
    topics.MARKET_QUOTES: (QuoteRow,),
    topics.MARKET_REFERENCE: (Reference,),
    topics.MARKET_SYMBOLS: (Listing,),
    topics.LEADERBOARDS: (Board,),
    topics.TRADE_WINDOWS: (SymbolWindow, AllWindows),
    topics.NBBO: (Nbbo,),
    topics.MARKET_HALTS: (HaltState,),
    topics.DAILY_RANGES: (RangeRow,),
    topics.ALERTS: (AlertRecord,),
    topics.FEED: (FeedState,),
}

_DESCRIPTION = (
    "Topics of Tapereader. Values are JSON; prices are US dollars, volumes shares, percentages in per cent, times "
    "Unix epoch milliseconds unless a name says otherwise. A compacted topic is a table: the last record of a key "
    "is its row, a record without value deletes it."
)


def schemas() -> dict[str, Any]:
    """JSON Schema (2020-12) of every record type and of what they refer to, by name."""
    types = sorted({found for group in RECORDS.values() for found in group}, key=lambda found: found.__name__)
    return msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")[1]


def schema_of(spec: TopicSpec) -> dict[str, Any]:
    """JSON Schema (2020-12) of a topic's records, complete in itself. Raises `KeyError`: its records have no type."""
    found, definitions = msgspec.json.schema_components(RECORDS[spec], ref_template="#/$defs/{name}")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": spec.declared,
        "description": f"{spec.describes}. Key: {spec.key}. {_DESCRIPTION}",
        **(found[0] if len(found) == 1 else {"anyOf": list(found)}),
        "$defs": definitions,
    }


def files() -> dict[str, str]:
    """The contract's files: path below the directory of documents, text."""
    schemas_ = {f"schemas/{spec.declared}.json": schema_text(spec) for spec in RECORDS}
    return {"asyncapi.yaml": render(), **schemas_}


def schema_text(spec: TopicSpec) -> str:
    """`schema_of` as it stands in its file."""
    return msgspec.json.format(msgspec.json.encode(schema_of(spec)), indent=2).decode() + "\n"


def write(directory: Path) -> list[Path]:
    """Write the contract's files; schemas of topics that are no more are deleted. The paths written."""
    wanted = {directory / name: text for name, text in files().items()}
    (directory / "schemas").mkdir(parents=True, exist_ok=True)
    for stale in set((directory / "schemas").glob("*.json")) - wanted.keys():
        stale.unlink()
    for path, text in wanted.items():
        path.write_text(text, encoding="utf-8")
    return list(wanted)


def document() -> dict[str, Any]:
    """The AsyncAPI 3 document."""
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Tapereader", "version": __version__, "description": _DESCRIPTION},
        "defaultContentType": "application/json",
        "channels": {_identifier(spec): _channel(spec, found) for spec, found in RECORDS.items()},
        "operations": {
            f"publish_{_identifier(spec)}": {
                "action": "send",
                "channel": {"$ref": f"#/channels/{_identifier(spec)}"},
                "summary": spec.describes,
            }
            for spec in RECORDS
        },
        "components": {"schemas": schemas()},
    }


def _identifier(spec: TopicSpec) -> str:
    return spec.declared.replace(".", "_").replace("-", "_")


def _channel(spec: TopicSpec, records: tuple[type[msgspec.Struct], ...]) -> dict[str, Any]:
    configuration: dict[str, Any] = {"cleanup.policy": [spec.cleanup]}
    if spec.cleanup == "delete":
        configuration["retention.ms"] = spec.retention_ms
    kafka = {"bindingVersion": "0.5.0", "topic": spec.declared, "topicConfiguration": configuration}
    return {
        "address": spec.declared,
        "description": spec.describes,
        "messages": {found.__name__: _message(spec, found) for found in records},
        "bindings": {"kafka": kafka},
    }


def _message(spec: TopicSpec, record: type[msgspec.Struct]) -> dict[str, Any]:
    return {
        "name": record.__name__,
        "payload": {"$ref": f"#/components/schemas/{record.__name__}"},
        "bindings": {"kafka": {"bindingVersion": "0.5.0", "key": {"type": "string", "description": spec.key}}},
    }


def render() -> str:
    """The document as YAML."""
    import yaml

    plain = msgspec.json.decode(msgspec.json.encode(document()))
    return str(yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=110))
