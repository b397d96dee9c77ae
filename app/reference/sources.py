"""The kinds of reference data: how each is fetched, read from JSON, and kept."""

from collections.abc import Awaitable, Callable
from typing import Any

from msgspec import Struct

from app.market.whole_numbers import decoder_of
from app.reference.codec import Codec
from app.reference.flights import Errand
from app.reference.records import Answer, Kind, Layer, State, TickerSnapshot
from app.reference.rest import NOTHING, MassiveRest
from app.reference.store import Keys
from app.settings import Settings


class Source(Struct, frozen=True):
    """How a kind of value is fetched, read from JSON, and how long it lives (ms)."""

    fetch: Callable[[str], Awaitable[bytes | None]]
    decode: Callable[[bytes], Any]
    ttl_ms: int


class Sources:
    """The three kinds, and what their bytes say."""

    def __init__(self, rest: MassiveRest, settings: Settings, codec: Codec) -> None:
        self._codec, self._missing_ttl_s = codec, settings.cache_missing_ttl_s
        number = decoder_of(float | None)
        self._kinds = {
            Kind.SNAPSHOT: Source(
                rest.snapshot, decoder_of(TickerSnapshot | None), int(settings.cache_snapshot_ttl_s * 1000)
            ),
            Kind.AVG_VOLUME: Source(rest.avg_volume, number, int(settings.cache_avg_volume_ttl_s * 1000)),
            Kind.FREE_FLOAT: Source(rest.free_float, number, int(settings.cache_free_float_ttl_s * 1000)),
        }

    def ttl_ms(self, kind: Kind) -> int:
        """How long a value of a kind lives."""
        return self._kinds[kind].ttl_ms

    @property
    def missing_ttl_ms(self) -> int:
        """How long it is believed that the vendor has no value."""
        return int(self._missing_ttl_s * 1000)

    def errand(self, kind: Kind, ticker: str, *, refresh: bool) -> Errand:
        """What to request for a ticker; `refresh`: although there is a value."""
        source = self._kinds[kind]
        return Errand(
            Keys.of(kind, ticker), lambda: source.fetch(ticker), self._codec.encode, source.ttl_ms, refresh=refresh
        )

    def fetched(self, kind: Kind, data: bytes | None) -> tuple[Answer[Any], float]:
        """The answer that REST gave (None: there is none), and how long it lives (s)."""
        if data is None:
            return Answer(None, State.MISSING, Layer.REST, 0.0), self._missing_ttl_s
        source = self._kinds[kind]
        value = source.decode(data)
        state = State.MISSING if value is None else State.FRESH
        return Answer(value, state, Layer.REST, 0.0), self._life_s(kind, missing=value is None)

    def kept(self, kind: Kind, data: bytes, ttl_ms: int) -> Answer[Any]:
        """The answer that bytes in Redis with this life left (ms, below 0: without end) are.

        Raises `UndecodableError` or `msgspec.MsgspecError`: they cannot be read.
        """
        text = self._codec.decode(data)
        value = self._kinds[kind].decode(text)
        # A volume or float of 0 is not known, whoever wrote it.
        missing = text == NOTHING or value == 0
        age_s = max(self._life_s(kind, missing=missing) - ttl_ms / 1000, 0.0) if ttl_ms >= 0 else None
        if missing:
            return Answer(None, State.MISSING, Layer.REDIS, age_s)
        return Answer(value, State.FRESH, Layer.REDIS, age_s)

    def _life_s(self, kind: Kind, *, missing: bool) -> float:
        return self._missing_ttl_s if missing else self._kinds[kind].ttl_ms / 1000
