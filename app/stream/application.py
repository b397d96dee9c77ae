"""A Faust app with the settings that the engine needs, each with its reason."""

import gc
import tempfile
from pathlib import Path
from typing import Any

import faust

from app.stream.partition import MAX_FLUSH_BYTES
from app.stream.recovery import ClaimingTables
from app.stream.surroundings import BrokerAccess, PlainAccess, Surroundings

#: A batch is thousands of new objects that live as long as it: collecting after each 700, as Python does, took 40 %
#: of the engine's time (247,000 records/s; 286,000 without the imported modules, 375,000 with these, 407,000 with no
#: collection at all). A batch is in no cycle; what is in one still goes, 50,000 objects later.
GC_THRESHOLDS = (50_000, 20, 20)

#: How flushes are compressed. aiokafka writes lz4 at its slowest level: 71 MB/s and a ratio of 3.3 on a flush of
#: 700 rows, a quarter of a busy worker's time; zstd does 477 MB/s and 4.9.
COMPRESSION = "zstd"

#: Batches waiting in a stream before its partition is paused; a batch may hold 10,000 records.
WAITING_BATCHES = 16


def batched_app(
    app_id: str,
    brokers: str | BrokerAccess,
    *,
    partitions: int,
    session_timeout_ms: int = 6000,
    instance_id: str | None = None,
    standbys: int = 0,
    surroundings: Surroundings | None = None,
    **options: Any,
) -> faust.App:
    """A Faust app on the batched transport.

    `session_timeout_ms` is how long a worker that died silently keeps its partitions. So many `standbys` follow each
    partition's changelogs besides its owner; the group gives the partition to one of them when the owner is gone.
    """
    access = PlainAccess(brokers) if isinstance(brokers, str) else brokers
    settings: dict[str, Any] = {
        "broker": "batched://" + ";batched://".join(access.bootstrap_servers.split(",")),
        "broker_credentials": access.faust_credentials(),
        "broker_client_id": f"{access.client_id}-worker",
        "store": "memory://",
        # Nothing is kept there with tables in memory, but Faust makes the directory.
        "datadir": str(Path(tempfile.gettempdir()) / f"{app_id}-faust"),
        "topic_partitions": partitions,
        # Topics are made and checked beforehand, all with one number of partitions.
        "topic_allow_declare": False,
        "topic_disable_leader": True,
        "table_standby_replicas": standbys,
        # Claims partitions before it reads them back, and reads for standbys.
        "TableManager": ClaimingTables,
        # "latest" waits for ever when segments are deleted while they are read back.
        "consumer_auto_offset_reset": "earliest",
        # Per partition and poll: about 20,000 compressed records; more only costs memory.
        "consumer_max_fetch_size": 1024 * 1024,
        "consumer_group_instance_id": instance_id,
        # Flushes under way are waited for by the tables; what was not flushed is read again.
        "stream_wait_empty": False,
        "stream_buffer_maxsize": WAITING_BATCHES,
        "stream_recovery_delay": 0.0,
        "recovery_consistency_check": False,
        "broker_session_timeout": session_timeout_ms / 1000,
        "broker_heartbeat_interval": session_timeout_ms / 4000,
        # Faust refuses a session that outlasts a request.
        "broker_request_timeout": max(30.0, session_timeout_ms / 1000),
        "broker_rebalance_timeout": 15.0,
        "broker_max_poll_interval": 120.0,
        "broker_commit_interval": 1.0,
        # Faust also commits each 10,000 records, in the way of reading: that would be every batch.
        "broker_commit_every": 10**9,
        "producer_acks": -1,
        "producer_linger": 0.0,
        "producer_compression_type": COMPRESSION,
        "producer_max_batch_size": MAX_FLUSH_BYTES + 512 * 1024,
        "producer_max_request_size": MAX_FLUSH_BYTES + 1024 * 1024,
        "producer_request_timeout": 30.0,
        "web_enabled": False,
        "autodiscover": False,
    }
    app = faust.App(app_id, **(settings | options))
    app.surroundings = surroundings or Surroundings()
    #: Apps whose tables this one may take over; others' it leaves alone.
    app.predecessors = frozenset()
    app.on_partitions_assigned.connect(_on_assigned, weak=False)
    return app


async def _on_assigned(*_: Any, **__: Any) -> None:
    collect_rarely()


def collect_rarely() -> None:
    """Leave what this process has imported out of garbage collections, once, and make them rarer."""
    if gc.get_freeze_count() == 0:
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
