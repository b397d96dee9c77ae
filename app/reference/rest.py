"""Massive's REST, asynchronously: snapshot, average volume, free float, within limits.

The vendor's SDK blocks a thread for each request and loses the status and Retry-After of what
failed. aiohttp on the same endpoints keeps both, can be cancelled, and costs the least: docs/cache.md
has the figures beside httpx and the SDK.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TypeVar
from urllib.parse import quote

import aiohttp
import msgspec

from app import clock
from app.errors import UNREADABLE, RestError, SettingsError
from app.market.calendar import NEW_YORK
from app.market.splits import Split, is_sound, mean_volume
from app.market.whole_numbers import decoder_of
from app.reference.entitlements import Endpoint, Entitlements
from app.reference.limits import Limits
from app.reference.records import BarsBody, FloatsBody, Kind, RatiosBody, SnapshotBody, SplitsBody, TickerSnapshot
from app.reference.statistics import Instruments, Statistics
from app.reference.store import RedisStore
from app.reference.wrappers import Guarded, Logged, Retried, chain
from app.settings import Settings, Source

T = TypeVar("T")

#: The mean volume is that of the last 30 daily bars among those of the last 42 days.
BARS, BARS_DAYS = 30, 42

#: What a plan does not include (403) and what the vendor does not know (404): neither is to be had.
HAS_NONE = (403, 404)

#: An answer of the whole market may take this much longer than one of a ticker: 7 MB beside 600 bytes.
BULK_TIMEOUTS = 6

#: What the vendor has not, in JSON.
NOTHING = b"null"

_snapshot = decoder_of(TickerSnapshot)


def endpoint(settings: Settings) -> tuple[str, str | None]:
    """Base URL and API key; no key where the source is neither the vendor nor the simulator and none is set.

    Raises `SettingsError`: the source is the vendor, and there is no key.
    """
    if settings.source is Source.SIMULATOR:
        return f"http://{settings.simulator_host}:{settings.simulator_port}", settings.api_key() or "simulator"
    key = settings.api_key()
    if not key and settings.source is Source.MASSIVE:
        raise SettingsError("MASSIVE_API_KEY is not set: expected the vendor's key, or TAPEREADER_SOURCE=simulator")
    return settings.massive_rest_url.rstrip("/"), key or None


class MassiveRest:
    """The three requests of MarketDataCache. Every failure is a `RestError`; None: the vendor has none.

    Its `Limits` are those of the API key, None where there is no key and so nothing can be asked. Who
    makes the client closes it.
    """

    def __init__(
        self,
        client: aiohttp.ClientSession,
        limits: Limits | None,
        entitlements: Entitlements | None,
        settings: Settings,
        statistics: Statistics,
        instruments: Instruments,
    ) -> None:
        self._client, self._limits, self._settings = client, limits, settings
        self._entitlements = entitlements
        self._statistics, self._instruments = statistics, instruments
        self.guard = Guarded(
            "rest", settings.rest_breaker_failures, settings.rest_breaker_open_s, _is_their_fault, _refused
        )
        self._around = chain(
            Logged("rest", _is_answer), Retried(settings.rest_attempts, settings.rest_backoff_s, self._pause)
        )

    @classmethod
    @asynccontextmanager
    async def open(
        cls, settings: Settings, store: RedisStore, statistics: Statistics, instruments: Instruments
    ) -> AsyncIterator["MassiveRest"]:
        """A client of its own, closed at the end."""
        base, key = endpoint(settings)
        async with aiohttp.ClientSession(
            base_url=base,
            headers={"Authorization": f"Bearer {key}"} if key else None,
            connector=aiohttp.TCPConnector(limit=settings.rest_concurrency),
            # Plain http is a server on this machine: a proxy of the environment cannot reach it.
            trust_env=not base.startswith("http://"),
        ) as client:
            limits = Limits(store, settings, key) if key else None
            entitlements = Entitlements(store, key) if key else None
            yield cls(client, limits, entitlements, settings, statistics, instruments)

    async def snapshot(self, ticker: str) -> bytes | None:
        """A ticker's snapshot, in the vendor's JSON."""
        path = f"/v2/snapshot/locale/us/markets/stocks/tickers/{quote(ticker, safe='')}"
        try:
            body = await self.ask(Kind.SNAPSHOT, Endpoint.SNAPSHOT, path, {}, SnapshotBody)
        except RestError as error:
            if error.status in HAS_NONE:
                return None
            raise
        if bytes(body.ticker) == NOTHING:
            return None
        try:
            _snapshot(bytes(body.ticker))
        except UNREADABLE as error:
            raise _garbage(path, error) from error
        return bytes(body.ticker)

    async def avg_volume(self, ticker: str) -> bytes | None:
        """A ticker's average daily volume in shares, as JSON: its one ratio's, else the mean of the daily bars."""
        try:
            query = {"ticker": ticker}
            ratios = await self.ask(Kind.AVG_VOLUME, Endpoint.RATIOS, "/stocks/financials/v1/ratios", query, RatiosBody)
            rows = ratios.results or []
        except RestError as error:
            if error.status not in HAS_NONE:
                raise
            rows = []
        if len(rows) == 1:
            return _positive(rows[0].average_volume)
        return await self._mean_volume(ticker)

    async def free_float(self, ticker: str) -> bytes | None:
        """A ticker's free float in shares, as JSON: the first row's."""
        try:
            body = await self.ask(Kind.FREE_FLOAT, Endpoint.FLOATS, "/stocks/vX/float", {"ticker": ticker}, FloatsBody)
        except RestError as error:
            if error.status in HAS_NONE:
                return None
            raise
        return _positive(body.results[0].free_float) if body.results else None

    async def _mean_volume(self, ticker: str) -> bytes | None:
        today = datetime.fromtimestamp(clock.wall_s(), UTC).astimezone(NEW_YORK).date()
        first = today - timedelta(days=BARS_DAYS)
        path = f"/v2/aggs/ticker/{quote(ticker, safe='')}/range/1/day/{first}/{today}"
        try:
            # Not adjusted: the vendor adjusts by a split of today, too, and neither ratio nor float nor snapshot does.
            query = {"adjusted": "false", "sort": "desc", "limit": "50"}
            body = await self.ask(Kind.AVG_VOLUME, Endpoint.DAILY_BARS, path, query, BarsBody)
        except RestError as error:
            if error.status in HAS_NONE:
                return None
            raise
        # Today's bar is of a part of a day: it would draw the mean down until the close.
        whole = [(day, bar) for bar in body.results or () if (day := bar.date()) is not None and day != today]
        volumes = {day.isoformat(): bar.volume or 0.0 for day, bar in whole[:BARS]}
        splits = await self._splits(ticker, first.isoformat()) if volumes else []
        return _positive(mean_volume(volumes, splits, today.isoformat()))

    async def _splits(self, ticker: str, first: str) -> list[Split]:
        """A ticker's splits since a day (ISO date); none where the plan does not include them."""
        query = {"ticker": ticker, "execution_date.gte": first}
        try:
            body = await self.ask(Kind.AVG_VOLUME, Endpoint.SPLITS, "/stocks/v1/splits", query, SplitsBody)
        except RestError as error:
            if error.status in HAS_NONE:
                return []
            raise
        return [split for split in body.results or () if is_sound(split)]

    async def ask(
        self,
        kind: Kind,
        endpoint: Endpoint,
        path: str,
        parameters: Mapping[str, str],
        body: type[T],
        *,
        bulk: bool = False,
    ) -> T:
        """An endpoint's answer, within the key's limits, with retries. `bulk`: it holds the whole market.

        Raises `RestError`; of kind `plan` where the key's plan does not include the endpoint, which is then not
        asked again for a day.
        """
        limits, entitlements = self._limits, self._entitlements
        if limits is None or entitlements is None:
            raise RestError("no_key", "REST is not asked: there is no API key")
        if await entitlements.refused(endpoint):
            raise RestError("plan", f"REST: {endpoint.value} is not in the plan of the API key", status=403)
        timeout_s = self._settings.rest_timeout_s * (BULK_TIMEOUTS if bulk else 1)

        async def attempt() -> T:
            self.guard.check()
            async with limits.room():
                return await self.guard(path, lambda: self._exchange(kind, path, parameters, body, timeout_s))

        try:
            return await self._around(kind, attempt)
        except RestError as error:
            if error.status != 403:
                raise
            await entitlements.refuse(endpoint, str(error))
            raise RestError("plan", f"REST: {endpoint.value} is not in the plan of the API key", status=403) from error

    async def _exchange(
        self, kind: Kind, path: str, parameters: Mapping[str, str], body: type[T], timeout_s: float
    ) -> T:
        began_s, outcome = clock.monotonic_s(), "ok"
        self._statistics.rest_requests += 1
        try:
            return await self._send(path, parameters, body, timeout_s)
        except RestError as error:
            outcome = error.reason
            await self._note(error)
            raise
        finally:
            self._instruments.api_duration[kind].record(clock.monotonic_s() - began_s, {"outcome": outcome})

    async def _send(self, path: str, parameters: Mapping[str, str], body: type[T], timeout_s: float) -> T:
        limit = aiohttp.ClientTimeout(total=timeout_s)
        try:
            async with self._client.get(path, params=parameters, timeout=limit) as response:
                content = await response.read()
        except TimeoutError as error:
            raise RestError("timeout", f"REST: {path} took longer than {timeout_s:g} s") from error
        except aiohttp.ClientError as error:
            raise RestError("network", f"REST: {path}: {type(error).__name__}: {error}") from error
        if response.status != 200:
            raise RestError(
                "http",
                f"REST: {path}: expected 200, was {response.status}: {content[:200].decode(errors='replace')}",
                status=response.status,
                retry_after_s=_retry_after_s(response),
            )
        try:
            return decoder_of(body)(content)
        except UNREADABLE as error:
            raise _garbage(path, error) from error

    async def _note(self, error: RestError) -> None:
        if _is_answer(error):
            return
        self._statistics.rest_errors += 1
        self._instruments.error.add(1, {"reason": error.kind})
        if error.kind == "timeout":
            self._instruments.timeout_error.add(1)
        elif error.kind == "http":
            self._instruments.http_error.add(1)
        if error.status == 429 and error.retry_after_s and self._limits is not None:
            await self._limits.hold_off(min(error.retry_after_s, self._settings.rest_retry_after_max_s))

    def _pause(self, error: Exception) -> bool | float:
        if not isinstance(error, RestError) or not error.passing:
            return False
        if error.retry_after_s is None:
            return True
        return min(error.retry_after_s, self._settings.rest_retry_after_max_s)


def _positive(number: float | None) -> bytes | None:
    # The vendor's 0 is "not known": nothing that trades has a mean volume or a float of 0.
    return msgspec.json.encode(number) if number is not None and number > 0 else None


def _is_their_fault(error: Exception) -> bool:
    return isinstance(error, RestError) and (error.passing or error.kind == "garbage")


def _is_answer(error: Exception) -> bool:
    # 404 says that the vendor has none, 403 that the plan does not include it.
    return isinstance(error, RestError) and error.status in HAS_NONE


def _refused() -> RestError:
    return RestError("breaker", "REST failed too often; it is left alone for a while")


def _garbage(path: str, error: Exception) -> RestError:
    return RestError("garbage", f"REST: {path}: the answer is not as documented: {error}")


def _retry_after_s(response: aiohttp.ClientResponse) -> float | None:
    text = response.headers.get("Retry-After", "")
    try:
        return max(float(text), 0.0)
    except ValueError:
        return None
