"""Batches through Faust: a transport and a table for the rates of a whole market.

Faust handles one record at a time. Here the records of one poll of one partition travel through
Faust as one event, are folded into a table in memory, and leave as one Kafka record batch that
carries the state and the source offset it covers. Everything else stays Faust: agents, partition
assignment, rebalances, recovery. `docs/engine.md` explains how and why.
"""

from app.stream.batches import RecordBatch, Undecodable
from app.stream.dead_letters import DeadLetterWriter
from app.stream.schema import RecordBatchSchema
from app.stream.table import BatchedTable
from app.stream.view import PartitionView

__all__ = ["BatchedTable", "DeadLetterWriter", "PartitionView", "RecordBatch", "RecordBatchSchema", "Undecodable"]
