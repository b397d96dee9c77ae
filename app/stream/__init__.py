"""Batches through Faust: a transport and a table for the rates of a whole market.

Faust handles one record at a time. Here the records of one poll of one partition travel through
Faust as one event, are folded into a table in memory, and leave as one Kafka record batch that
carries the state and the source offset it covers. Everything else stays Faust: agents, partition
assignment, rebalances, recovery. `docs/engine.md` explains how and why.

Its names are imported when they are first asked for: a process that only takes a part of it, as the gateway does,
does not import Faust (0.2 s of a processor at each start).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from app.stream.batches import RecordBatch, Undecodable
    from app.stream.dead_letters import DeadLetterWriter
    from app.stream.schema import RecordBatchSchema
    from app.stream.table import BatchedTable
    from app.stream.view import PartitionView

__all__ = ["BatchedTable", "DeadLetterWriter", "PartitionView", "RecordBatch", "RecordBatchSchema", "Undecodable"]

_MODULES = {
    "BatchedTable": "table",
    "DeadLetterWriter": "dead_letters",
    "PartitionView": "view",
    "RecordBatch": "batches",
    "RecordBatchSchema": "schema",
    "Undecodable": "batches",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
