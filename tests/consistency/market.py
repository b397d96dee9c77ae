"""A random market in the raw topics, and what the tables must be after it, by the plain rules."""

import asyncio
import random
from typing import Any

import msgspec
from aiokafka import AIOKafkaProducer

from app.kafka import topics
from app.market.alerts import AlertRules
from app.market.calendar import TradingCalendar
from app.market.daily_alerts import RangeRow, fold_day, halt_records
from app.market.events import Aggregate, LimitUpLimitDown, PreviousDay, Quote, Reference, Trade
from app.market.halts import HaltCodes, HaltState, fold_halt
from app.market.nbbo import Nbbo, fold_nbbo
from app.market.trade_windows import TradeWindows
from app.stream.producing import repeat_until_answered

SYMBOLS = 60
#: These trade at the beginning only, so that their windows are dropped.
QUIET = 10
START_MS = 1_381_325_400_000  # 2013-10-09 09:30 ET
STEP_MS = 100
CODES = HaltCodes({17: "test"}, frozenset({18}))
BROKEN = (b"not json", b'{"ev":"T","sym":"S01","x":1000000000000}', b'{"ev":"Q","p":1}', b"{},{}")


class RandomMarket:
    """Produces events of all kinds, in disorder, repeated and broken ones among them."""

    def __init__(self, bootstrap: str, partitions: int, seed: int, total: int) -> None:
        self.bootstrap, self.partitions, self.total = bootstrap, partitions, total
        self.random = random.Random(seed)
        self.calendar, self.rules = TradingCalendar.new_york(), AlertRules()
        self.windows = [TradeWindows() for _ in range(partitions)]
        self.last_ms: list[dict[str, int]] = [{} for _ in range(partitions)]
        self.ranges: dict[str, RangeRow] = {}
        self.nbbo: dict[str, Nbbo] = {}
        self.halts: dict[str, HaltState] = {}
        self.alert_keys: set[str] = set()
        self.broken: set[tuple[str, str]] = set()
        self.produced = 0
        self._volumes = [0.0] * SYMBOLS
        self._recent: list[tuple[int, Trade]] = []

    async def produce(self, *, every_s: float, chunk: int = 250) -> None:
        """Append all events, in chunks."""
        producer = AIOKafkaProducer(bootstrap_servers=self.bootstrap, enable_idempotence=True, acks="all")
        repeat_until_answered(producer)  # What it gives up may stand there nevertheless.
        await producer.start()
        try:
            for number in range(SYMBOLS):
                reference = Reference(_symbol(number), "2013-10-09", PreviousDay(close=100.0), avg_volume=1000.0)
                await self._send(producer, topics.REFERENCE, number, reference)
            for _ in range(0, self.total, chunk):
                for _ in range(chunk):
                    spec, number, event = self._next()
                    await self._send(producer, spec, number, event)
                await producer.flush()
                await asyncio.sleep(every_s)
        finally:
            await producer.stop()

    async def _send(self, producer: Any, spec: topics.TopicSpec, number: int, event: Any) -> None:
        value = event if isinstance(event, bytes) else msgspec.json.encode(event)
        await producer.send(spec.name, key=_symbol(number).encode(), value=value, partition=number % self.partitions)
        self.produced += 1

    def _next(self) -> tuple[topics.TopicSpec, int, Any]:
        busy = self.produced < self.total // 4
        number = min(int(self.random.expovariate(1 / 12)), SYMBOLS - 1)
        if number < QUIET and not busy:
            number += QUIET
        at_ms = START_MS + self.produced * STEP_MS + self.random.randrange(-1000, 1000)
        kind = self.random.choices("TAQLX", (60, 25, 10, 4, 1))[0]
        if kind == "X":
            spec = self.random.choice((topics.TRADES, topics.QUOTES, topics.AGGREGATES))
            value = self.random.choice(BROKEN[:2] if spec is topics.TRADES else BROKEN[2:] + BROKEN[:1])
            self.broken.add((spec.name, value.decode()))
            return spec, number, value
        make = {"T": self._trade, "A": self._aggregate, "Q": self._quote, "L": self._bands}[kind]
        return make(number, at_ms)

    def _price(self) -> float:
        return round(100 + self.random.uniform(-5, 5), 2)

    def _trade(self, number: int, at_ms: int) -> tuple[topics.TopicSpec, int, Any]:
        sequence: int | None = self.produced + 1
        if self.random.random() < 0.1:
            sequence = None
        trade = Trade(
            symbol=_symbol(number), id=str(self.produced), price=self._price(), size=self.random.randrange(1, 900),
            timestamp=at_ms, sequence_number=sequence, conditions=self.random.choice([None, [14], [12, 37]]),
        )  # fmt: skip
        if self._recent and self.random.random() < 0.05:
            # A trade of the last few again; never one of a symbol that has fallen quiet.
            number, trade = self._recent[-1 - self.random.randrange(min(5, len(self._recent)))]
        self._recent = [*self._recent[-5:], (number, trade)]
        partition = number % self.partitions
        symbol = _symbol(number)
        self.windows[partition].append(symbol, [trade])
        last_ms = self.last_ms[partition]
        last_ms[symbol] = max(last_ms.get(symbol, 0), trade.timestamp or 0)
        # A window ends once three symbols have traded five minutes after its last trade.
        self.windows[partition].expire(sorted(last_ms.values())[-3:][0])
        return topics.TRADES, number, trade

    def _aggregate(self, number: int, at_ms: int) -> tuple[topics.TopicSpec, int, Any]:
        symbol = _symbol(number)
        self._volumes[number] += 100
        high, low = self._price(), self._price()
        bar = Aggregate(
            symbol=symbol, high=max(high, low), low=min(high, low), close=high, open=low, volume=100,
            accumulated_volume=self._volumes[number], start_timestamp=at_ms - 1000, end_timestamp=at_ms,
        )  # fmt: skip
        self.ranges[symbol], alerts = fold_day(self.ranges.get(symbol), bar, self.rules, self.calendar)
        self.alert_keys.update(alert.key for alert in alerts)
        return topics.AGGREGATES, number, bar

    def _quote(self, number: int, at_ms: int) -> tuple[topics.TopicSpec, int, Any]:
        symbol = _symbol(number)
        quote = Quote(symbol=symbol, bid_price=self._price(), ask_price=self._price(), timestamp=at_ms)
        self.nbbo[symbol] = fold_nbbo(self.nbbo.get(symbol), quote) or self.nbbo[symbol]
        return topics.QUOTES, number, quote

    def _bands(self, number: int, at_ms: int) -> tuple[topics.TopicSpec, int, Any]:
        symbol = _symbol(number)
        code = self.random.choice((17, 18, 21))
        event = LimitUpLimitDown(symbol, upper_band=self._price(), indicators=[code], timestamp=at_ms)
        before = self.halts.get(symbol)
        after = fold_halt(before, event, CODES, self.calendar)
        if after is not None:
            self.halts[symbol] = after
            self.alert_keys.update(alert.key for alert in halt_records(before, after, None))
        return topics.HALTS, number, event


def _symbol(number: int) -> str:
    return f"S{number:02d}"
