"""Reads a table and the alerts from Kafka, with a Kafka client and nothing of Tapereader's.

    python examples/consume.py 127.0.0.1:19092 [--once]

`--once` ends when everything that is there now has been read.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import AsyncIterator
from typing import Any

from aiokafka import AIOKafkaConsumer


async def records(bootstrap: str, topic: str, once: bool) -> AsyncIterator[Any]:
    """The records of all partitions from the beginning; with `once` up to what is the end now."""
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest", enable_auto_commit=False
    )
    await consumer.start()
    try:
        parts = consumer.assignment()
        ends = await consumer.end_offsets(parts)
        while not once or any([await consumer.position(part) < end for part, end in ends.items()]):
            for found in (await consumer.getmany(timeout_ms=500)).values():
                for record in found:
                    yield record
    finally:
        await consumer.stop()


async def main() -> None:
    """Hold a table, then follow the alerts."""
    parser = argparse.ArgumentParser()
    parser.add_argument("bootstrap")
    parser.add_argument("--once", action="store_true")
    arguments = parser.parse_args()

    nbbo: dict[str, dict[str, Any]] = {}
    async for record in records(arguments.bootstrap, "market.nbbo", once=True):
        symbol = record.key.decode()
        if record.value is None:
            nbbo.pop(symbol, None)
        else:
            nbbo[symbol] = json.loads(record.value)
    sys.stdout.write(f"NBBO of {len(nbbo)} symbols\n")

    seen: set[str] = set()
    async for record in records(arguments.bootstrap, "market.alerts", arguments.once):
        alert = json.loads(record.value)
        if alert["key"] not in seen:
            seen.add(alert["key"])
            value = "" if alert["value"] is None else alert["value"]
            sys.stdout.write(f"{alert['symbol']} {alert['kind']} {value} {alert['note']}\n")


if __name__ == "__main__":
    asyncio.run(main())
