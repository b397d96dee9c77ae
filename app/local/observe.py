"""What goes on: events in and out, lag, symbols, seen from the topics and the consumer group."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
from aiokafka.errors import KafkaError

from app import clock
from app.kafka import topics
from app.kafka.access import KafkaAccess
from app.kafka.progress import GroupProgress
from app.local.working import Working
from app.settings import Settings

_IN = tuple(spec.name for spec in topics.RAW_TOPICS)
_OUT = tuple(spec.name for spec in topics.PUBLIC_TABLES)


@dataclass
class Observation:
    """One look: end offsets by topic, rates since the look before, lag of the workers, and what does not work."""

    at_s: float
    ends: dict[str, int] = field(default_factory=dict)
    rates: dict[str, float] = field(default_factory=dict)
    lag: int | None = None
    symbols: int | None = None
    error: str | None = None
    #: What is amiss with each process that does not work, by its name.
    amiss: dict[str, str] = field(default_factory=dict)
    #: Partitions that stand still while records wait, in a sentence each.
    standing: list[str] = field(default_factory=list)

    def faults(self) -> list[str]:
        """Why the workers as a whole do not work; empty: they do, or Kafka does not say."""
        return [f"{name}: {what}" for name, what in self.amiss.items() if name.startswith("worker")] + self.standing

    @property
    def events_in_per_s(self) -> float:
        """Raw events appended per second."""
        return sum(self.rates.get(name, 0.0) for name in _IN)

    @property
    def rows_out_per_s(self) -> float:
        """Rows of public tables appended per second."""
        return sum(self.rates.get(name, 0.0) for name in _OUT)

    def as_dict(self) -> dict[str, Any]:
        """For `tapereader status --json`."""
        return {
            "events_in_per_s": round(self.events_in_per_s, 1),
            "rows_out_per_s": round(self.rows_out_per_s, 1),
            "lag": self.lag,
            "symbols": self.symbols,
            "ends": self.ends,
            "error": self.error,
            "standing": self.standing,
        }


class Observer:
    """Looks at the cluster and at the processes; reads no record."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._progress = GroupProgress(KafkaAccess.of(settings), settings.app_id, "status")
        self._working = Working()
        self._http = httpx.AsyncClient(timeout=0.5, trust_env=False)
        self._last: Observation | None = None

    async def look(self, urls: Mapping[str, str], pids: Mapping[str, int | None]) -> Observation:
        """One observation of Kafka, and of processes by name: where each answers, and its id (None: it has ended)."""
        found = Observation(clock.monotonic_s())
        found.amiss, _, _ = await asyncio.gather(
            self._working.look(urls, pids), self._offsets(found), self._gateway(found)
        )
        last = self._last
        if found.error is None:
            if last is not None:
                elapsed_s = max(found.at_s - last.at_s, 0.001)
                found.rates = {name: (end - last.ends.get(name, end)) / elapsed_s for name, end in found.ends.items()}
            self._last = found
        return found

    async def _offsets(self, found: Observation) -> None:
        try:
            seen = await self._progress.look([*_IN, *_OUT])
        except (KafkaError, OSError, TimeoutError) as error:
            found.error = f"Kafka does not answer: {type(error).__name__}"
            return
        for part, end in seen.ends.items():
            if part.topic in _IN or part.topic in _OUT:
                found.ends[part.topic] = found.ends.get(part.topic, 0) + end
        found.standing = seen.standing
        if seen.reads:
            found.lag = sum(lag for part, lag in seen.lags.items() if part.topic in _IN)

    async def _gateway(self, found: Observation) -> None:
        try:
            answer = await self._http.get(f"http://127.0.0.1:{self._settings.http_port}/healthz")
            symbols = answer.json().get("symbols")
        except (httpx.HTTPError, ValueError, AttributeError):
            return
        found.symbols = symbols if isinstance(symbols, int) else None

    async def close(self) -> None:
        """Close the clients."""
        await self._http.aclose()
        await self._working.close()
        await self._progress.close()
