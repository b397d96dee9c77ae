"""What a gateway tells those who ask for metrics; all of it is read from what it knows anyway."""

from collections.abc import Mapping

from app import clock
from app.gateway.feeds.hub import Hub
from app.gateway.protocol.feeds import TABLES
from app.gateway.tables.view import View
from app.observability import metrics
from app.observability.meters import Meters, Reading


def register(meters: Meters, hub: Hub, view: View, records_read: Mapping[str, int]) -> None:
    """Have a gateway's counts read by those who ask for metrics; `records_read` counts by topic."""
    observe = meters.observe

    def age() -> list[Reading]:
        received_ns = view.newest_received_ns
        return [] if received_ns is None else [(max(clock.wall_ns() - received_ns, 0) / 1e9, {})]

    def by_topic() -> list[Reading]:
        return [(count, {metrics.TOPIC: topic}) for topic, count in list(records_read.items())]

    observe(metrics.CLIENTS, lambda: [(hub.clients, {})])
    observe(metrics.SUBSCRIPTIONS, lambda: [(hub.subscriptions, {})])
    observe(metrics.DELIVERIES, lambda: [(hub.counts().sent, {})])
    observe(metrics.CONFLATIONS, lambda: [(hub.counts().conflated, {})])
    observe(metrics.DISCONNECTS, lambda: [(n, {metrics.CLOSE_CODE: str(code)}) for code, n in list(hub.closes.items())])
    observe(metrics.QUEUE_DEPTH, lambda: [(sum(hub.queues()), {})])
    observe(metrics.QUEUE_LONGEST, lambda: [(max(hub.queues(), default=0), {})])
    observe(metrics.BAD_RECORDS, lambda: [(view.bad_records, {})])
    observe(metrics.NEWEST_AGE, age)
    observe(
        metrics.TABLE_ROWS, lambda: [(view.count(table), {metrics.TABLE: table.topic.declared}) for table in TABLES]
    )
    observe(metrics.CONSUMED, by_topic)
