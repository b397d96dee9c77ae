"""Bytes that the partitions hand over for boards and windows, and of what is published by them, beside the raw events.

    python -m benchmarks.hand_overs [--seconds 20]

The whole tape. No Kafka: what would be sent is encoded, and compressed as the producers do, in the batches in which
it is sent. The rates are those of `docs/capacity.md`: 10,000 aggregates, 50,000 trades and 200,000 quotes a second of
12,000 symbols, activity as 1/rank, eight partitions. The first second, in which all is new, is left out. Figures go to
`benchmarks/results/hand_overs.json`.
"""

import argparse
import random
from typing import Any

import cramjam
import msgspec

from app.market.boards import MergedBoards, PartitionBoards
from app.market.calendar import TradingCalendar
from app.market.events import Aggregate, PreviousDay, Quote, Reference
from app.market.handover import HandingOver
from app.market.quotes import QuoteState, accumulate, finish
from app.market.trade_tape import TapePartition, WindowTrade
from app.market.window_merge import AllWindows, HandedWindow, MergedWindows, SymbolWindow
from benchmarks.record import keep

SYMBOLS, PARTITIONS = 12_000, 8
AGGREGATES, TRADES, QUOTES = 10_000, 50_000, 200_000
#: As the workers do by default: boards four times a second, windows each five seconds, all of it now and then.
BOARDS_A_SECOND, BOARDS_ANEW_S, WINDOWS_EVERY_S, WINDOWS_ANEW = 4, 10, 5, 4
START_MS = 1_795_186_800_000  # 2026-11-20 10:00 ET
#: Events that the producer puts into one record batch.
IN_A_BATCH = 500

_encode = msgspec.json.Encoder().encode


class Bytes:
    """Bytes of values, as they are and compressed."""

    def __init__(self) -> None:
        self.plain = self.compressed = 0

    def add(self, *values: bytes) -> None:
        """Count the values of one record batch."""
        whole = b"".join(values)
        self.plain += len(whole)
        self.compressed += len(cramjam.zstd.compress(whole, level=3))

    def rates(self, seconds: int) -> dict[str, int]:
        """Bytes a second."""
        return {"plain": round(self.plain / seconds), "zstd": round(self.compressed / seconds)}


class Tape:
    """A market at the whole tape's rates; each event as the vendor sends it."""

    def __init__(self) -> None:
        self.random = random.Random(1)
        self.names = [f"S{number:05d}" for number in range(SYMBOLS)]
        self.weights = [1 / (rank + 1) for rank in range(SYMBOLS)]
        self.volumes, self.prices = [0.0] * SYMBOLS, [10.0 + rank % 400 for rank in range(SYMBOLS)]
        self.sequence = 0

    def _price(self, number: int) -> float:
        self.prices[number] = round(self.prices[number] * (1 + self.random.gauss(0, 0.0003)), 4)
        return self.prices[number]

    def aggregate(self, number: int, second: int) -> Aggregate:
        """A bar of a second."""
        roll = self.random
        opened, high, price = (self._price(number) for _ in range(3))
        size = float(roll.randrange(1, 5000))
        self.volumes[number] += size
        at_ms = START_MS + second * 1000
        average = round((opened + price) / 2, 4)
        return Aggregate(
            self.names[number], size, self.volumes[number], 10.0, average, opened, price, max(opened, high, price),
            min(opened, high, price), average, float(roll.randrange(1, 300)), at_ms, at_ms + 1000,
        )  # fmt: skip

    def trade(self, number: int, at_ms: int) -> WindowTrade:
        """A print."""
        self.sequence += 1
        roll = self.random
        return WindowTrade(
            self.names[number], roll.randrange(1, 21), str(self.sequence), 1 + number % 3, self._price(number),
            float(roll.randrange(1, 900)), roll.choice(([], [14, 41], [37], [12, 37])), at_ms + roll.randrange(250),
            self.sequence,
        )  # fmt: skip

    def quote(self, number: int, at_ms: int) -> Quote:
        """A best bid and offer."""
        self.sequence += 1
        roll, price = self.random, self._price(number)
        return Quote(
            self.names[number], roll.randrange(1, 21), round(price - roll.randrange(1, 9) / 100, 2),
            float(roll.randrange(1, 90)), roll.randrange(1, 21), round(price + roll.randrange(1, 9) / 100, 2),
            float(roll.randrange(1, 90)), 1, None, at_ms + roll.randrange(1000), self.sequence, 1 + number % 3,
        )  # fmt: skip

    def chosen(self, count: int) -> list[int]:
        """The symbols of some events."""
        return self.random.choices(range(SYMBOLS), self.weights, k=count)


class Published:
    """The boards and windows of the whole market, published as the workers do, and their bytes."""

    def __init__(self) -> None:
        self.boards, self.windows = MergedBoards(PARTITIONS), MergedWindows(PARTITIONS)
        self.known: dict[str, SymbolWindow | AllWindows] = {}
        self.bytes = {"leaderboards": Bytes(), "trade_windows": Bytes()}

    def publish_boards(self, second: int) -> None:
        """The boards that changed, each in a record batch of its own."""
        for board in self.boards.to_publish(second):
            self.bytes["leaderboards"].add(_encode(board))

    def publish_windows(self, second: int) -> None:
        """The windows that changed, in one record batch."""
        changes = self.windows.to_publish(self.known, str(second), float(second))
        self.bytes["trade_windows"].add(*(_encode(each) for each in changes.values()))
        self.known = {symbol: each for symbol, each in (self.known | changes).items() if each is not None}


class Partition:
    """A partition's state and what it has handed over."""

    def __init__(self, number: int, calendar: TradingCalendar) -> None:
        self.calendar = calendar
        self.boards, self.tape = PartitionBoards(number), TapePartition()
        self.windows = HandingOver[HandedWindow](number)
        self.states: dict[str, QuoteState] = {}

    def fold(self, bars: list[Aggregate]) -> None:
        """Let bars count in rows and boards."""
        changes = {}
        for bar in bars:
            symbol = bar.symbol or ""
            state = accumulate(self.states.get(symbol), bar, self.calendar)
            if state is not None:
                self.states[symbol] = state
                reference = Reference(symbol, state.day, PreviousDay(10.0, 10.0, 11.0, 9.0, 1e6, 10.0), 1e6, 1e7)
                changes[symbol] = finish(state, reference, START_MS * 1_000_000)
        self.boards.follow(changes)


def measured(seconds: int) -> dict[str, Any]:
    """Bytes a second of the raw events, of both hand-overs and of what is published by them."""
    tape, calendar = Tape(), TradingCalendar()
    partitions = [Partition(number, calendar) for number in range(PARTITIONS)]
    raw = {name: Bytes() for name in ("aggregates", "trades", "quotes")}
    boards, windows, published = Bytes(), Bytes(), Published()
    for second in range(seconds + 1):
        if second == 1:
            raw = {name: Bytes() for name in raw}
            boards, windows = Bytes(), Bytes()
            published.bytes = {name: Bytes() for name in published.bytes}
        # A symbol has one bar a second at most; those that trade most have one surely.
        barred = sorted(range(SYMBOLS), key=lambda number: tape.random.random() ** SYMBOLS / (number + 1))
        _count_quotes(tape, raw["quotes"], second)
        for quarter in range(BOARDS_A_SECOND):
            _fold_quarter(tape, partitions, raw, barred[quarter:AGGREGATES:BOARDS_A_SECOND], second, quarter)
            for number, partition in enumerate(partitions):
                if second % BOARDS_ANEW_S == number and not quarter:
                    partition.boards.begin_anew()
                found = partition.boards.hand_over(1, second)
                if found is not None:
                    boards.add(_encode(found))
                    published.boards.take(found)
        published.publish_boards(second)
        if second % WINDOWS_EVERY_S == 0:
            for number, partition in enumerate(partitions):
                if (second // WINDOWS_EVERY_S + number) % WINDOWS_ANEW == 0:
                    partition.windows.begin_anew()
                handed = partition.windows.take(partition.tape.handed(), 1, second)
                if handed is not None:
                    windows.add(_encode(handed))
                    published.windows.take(handed)
            published.publish_windows(second)
        print(f"second {second} of {seconds}", flush=True)
    rates = {name: found.rates(seconds) for name, found in raw.items()}
    whole = {kind: sum(found[kind] for found in rates.values()) for kind in ("plain", "zstd")}
    handed_over = {"board_rows": boards.rates(seconds), "window_statistics": windows.rates(seconds)}
    return {
        "bytes_per_s": rates | handed_over | {name: each.rates(seconds) for name, each in published.bytes.items()},
        "share_of_raw": {
            name: {kind: round(found[kind] / whole[kind], 3) for kind in found} for name, found in handed_over.items()
        },
        "symbols": SYMBOLS,
        "seconds": seconds,
    }


def _count_quotes(tape: Tape, into: Bytes, second: int) -> None:
    """The bytes of a twentieth of a second's quotes, twenty times."""
    sample = Bytes()
    values = [_encode(tape.quote(number, START_MS + second * 1000)) for number in tape.chosen(QUOTES // 20)]
    for begin in range(0, len(values), IN_A_BATCH):
        sample.add(*values[begin : begin + IN_A_BATCH])
    into.plain += sample.plain * 20
    into.compressed += sample.compressed * 20


def _fold_quarter(
    tape: Tape, partitions: list[Partition], raw: dict[str, Bytes], barred: list[int], second: int, quarter: int
) -> None:
    at_ms = START_MS + second * 1000 + quarter * 250
    bars: list[list[Aggregate]] = [[] for _ in partitions]
    trades: list[list[WindowTrade]] = [[] for _ in partitions]
    for number in barred:
        bars[number % PARTITIONS].append(tape.aggregate(number, second))
    for number in tape.chosen(TRADES // BOARDS_A_SECOND):
        trades[number % PARTITIONS].append(tape.trade(number, at_ms))
    for partition, of_bars, of_trades in zip(partitions, bars, trades, strict=True):
        partition.fold(of_bars)
        partition.tape.fold(of_trades)
        partition.tape.take_changes()
        raw["aggregates"].add(*map(_encode, of_bars))
        for begin in range(0, len(of_trades), IN_A_BATCH):
            raw["trades"].add(*map(_encode, of_trades[begin : begin + IN_A_BATCH]))


def main() -> None:
    """Measure, print one line each, keep the result."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--seconds", type=int, default=20)
    results = measured(arguments.parse_args().seconds)
    keep("hand_overs", results)
    for name, found in results["bytes_per_s"].items():
        print(f"{name:<18} {found['plain'] / 1e6:>8.2f} MB/s plain {found['zstd'] / 1e6:>8.2f} MB/s zstd")
    for name, found in results["share_of_raw"].items():
        print(f"{name:<18} {found['plain']:>8.1%} of the raw events, plain; {found['zstd']:.1%} compressed")


if __name__ == "__main__":
    main()
