"""What a gateway tells those who ask for metrics; all of it is read from what it knows anyway."""

from typing import TYPE_CHECKING

from app import clock, metrics
from app.gateway.feeds import TABLES
from app.meters import Meters, Reading

if TYPE_CHECKING:
    from app.gateway.gateway import Gateway


def register(gateway: "Gateway", meters: Meters) -> None:
    """Have the gateway's counts read by those who ask for metrics."""
    observe, hub, view = meters.observe, gateway.hub, gateway.view

    def age() -> list[Reading]:
        received_ns = view.newest_received_ns
        return [] if received_ns is None else [(max(clock.wall_ns() - received_ns, 0) / 1e9, {})]

    def by_topic() -> list[Reading]:
        return [(count, {metrics.TOPIC: topic}) for topic, count in list(gateway.reader.read.items())]

    observe(metrics.CLIENTS, lambda: [(hub.clients, {})])
    observe(metrics.SUBSCRIPTIONS, lambda: [(hub.subscriptions, {})])
    observe(metrics.DELIVERIES, lambda: [(hub.counts().sent, {})])
    observe(metrics.CONFLATIONS, lambda: [(hub.counts().conflated, {})])
    observe(metrics.DISCONNECTS, lambda: [(n, {metrics.CLOSE_CODE: str(code)}) for code, n in list(hub.closes.items())])
    observe(metrics.QUEUE_DEPTH, lambda: [(sum(hub.queues()), {})])
    observe(metrics.QUEUE_LONGEST, lambda: [(max(hub.queues(), default=0), {})])
    observe(metrics.BAD_RECORDS, lambda: [(view.bad_records, {})])
    observe(metrics.NEWEST_AGE, age)
    observe(metrics.TABLE_ROWS, lambda: [(view.count(table), {metrics.TABLE: table.topic.name}) for table in TABLES])
    observe(metrics.CONSUMED, by_topic)
