"""The gateway's parts, put together: reader, view, hub, access."""

from typing import Any, Self

import msgspec
import structlog

from app import clock
from app.gateway.access.access import Access
from app.gateway.feeds.hub import Hub
from app.gateway.feeds.telemetry import register
from app.gateway.protocol.feeds import BOARDS, QUOTES, TABLES, VENDOR_FEED
from app.gateway.protocol.messages import reply
from app.gateway.tables.platform import Platform
from app.gateway.tables.reader import TableReader
from app.gateway.tables.tape import TapeFollower
from app.gateway.tables.view import Record, View
from app.kafka.access import KafkaAccess
from app.market.feed_state import KEY
from app.market.market_time import market_moment, market_ms
from app.market.trade_conditions import ConditionTable
from app.observability import meters, metrics
from app.observability.operations import Operations
from app.settings import Settings

log = structlog.get_logger(__name__)

#: How long clients get to take leave; Kubernetes and `up` allow more.
CLOSE_GRACE_S = 3.0


class Gateway:
    """A view of the public tables and the clients that follow it; an async context manager.

    Raises `SettingsError` where it would be open to a network unasked.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings, self.access = settings, Access(settings)
        self.view = View()
        self.hub = Hub(
            self.view,
            settings.gateway_max_clients,
            settings.gateway_max_subscriptions,
            settings.gateway_max_scans,
            test_symbols=settings.test_symbols,
        )
        topics, access = [table.topic.name for table in TABLES], KafkaAccess.of(settings)
        #: What ends this process: memory and Kafka may differ, and only a new start can be relied on.
        self.failure: Exception | None = None
        self.reader = TableReader(access, self.view, topics, self._deliver, self.fail)
        self.tape = TapeFollower(access, settings.gateway_tape_mib * 1024 * 1024, self.fail)
        self.platform = Platform(settings, self.fail)
        #: The names of the conditions on the tape: the vendor's as soon as they are known.
        self.conditions = ConditionTable()
        self._calendar = clock.trading_calendar()
        self.operations = Operations(settings, "gateway", self.reasons, self.health)
        register(self.operations.meters, self.hub, self.view, self.reader.read)
        self._latency = meters.distribution(metrics.DELIVERY_LATENCY)
        self._delivered_ns: int | None = None

    async def __aenter__(self) -> Self:
        await self.reader.__aenter__()
        await self.platform.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.say_goodbye()
        await self.tape.close()
        await self.platform.__aexit__()
        await self.reader.__aexit__()

    async def say_goodbye(self) -> None:
        """Close all clients, with notice; a second call does nothing."""
        if not self.hub.closing:
            await self.hub.close(reply("shutdown", reconnect_after_ms=1000), CLOSE_GRACE_S)

    def fail(self, error: Exception) -> None:
        """Something that cannot be mended by going on: the process ends with this reason."""
        self.failure = self.failure or error
        log.error("gateway_failed", reason=repr(error))

    def _deliver(self, changed: list[Record]) -> None:
        self.hub.publish(changed)
        received_ns = self.view.newest_received_ns
        # What is read at the start was received long ago.
        if received_ns is not None and received_ns != self._delivered_ns and self.reader.caught_up.is_set():
            self._latency.record((clock.wall_ns() - received_ns) / 1e9)
        self._delivered_ns = received_ns

    def reasons(self) -> list[str]:
        """Why the gateway is not ready; empty: it is. Workers that stand still are none: what it has, it can serve."""
        if self.failure is not None:
            return [f"the gateway is ending: {self.failure!r}"]
        if self.hub.closing:
            return ["the gateway is shutting down"]
        ending = self.platform.failure()
        return [*([] if ending is None else [ending]), *self.reader.reasons()]

    def health(self) -> dict[str, Any]:
        """Counts and ages, for people and probes."""
        return {
            "status": "ok",
            "ready": not self.reasons(),
            "symbols": self.view.count(QUOTES),
            "boards": self.view.count(BOARDS),
            "clients": self.hub.clients,
            "subscriptions": self.hub.subscriptions,
            "records_read": self.view.records_read,
            "bad_records": self.view.bad_records,
            "table_ages_s": {topic: round(age_s, 3) for topic, age_s in self.reader.ages().items()},
            **self.ages(),
        }

    def ages(self) -> dict[str, Any]:
        """The newest event's time, and how long ago it happened and was received (s); null: none yet."""
        event_ms, received_ns = self.view.newest_event_ms, self.view.newest_received_ns
        return {
            "newest_event_ms": event_ms,
            "newest_event_age_s": None if event_ms is None else round(clock.wall_s() - event_ms / 1000, 3),
            "newest_received_age_s": None if received_ns is None else round((clock.wall_ns() - received_ns) / 1e9, 3),
        }

    def status(self) -> dict[str, Any]:
        """What people want to know beside the data: the market's session now, and whether the tables are complete.

        `ready` is said of the platform: of this gateway, and of the workers whose tables it serves. `opens_ms` is when
        the next trading day begins, null while a session runs.
        """
        reasons = [*self.reasons(), *self.platform.faults()]
        now_ms, received_ns = clock.wall_ns() // 1_000_000, self.view.newest_received_ns
        received_ms = None if received_ns is None else received_ns // 1_000_000
        moment = market_moment(self._calendar, market_ms(now_ms, self.view.newest_event_ms, received_ms))
        known = self.view.get(VENDOR_FEED, KEY)
        return {
            "time_ms": now_ms,
            "ready": not reasons,
            "reasons": reasons,
            "failure": self.platform.failure(),
            "session": None if moment is None else moment.session or "closed",
            "opens_ms": None if moment is None else moment.opens_ms,
            "symbols": self.view.count(QUOTES),
            "feed": None if known is None or known.value is None else msgspec.json.decode(known.value),
            **self.ages(),
        }
