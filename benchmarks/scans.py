"""A hundred different filters over 12,000 symbols: what a tick of changed rows costs the gateway.

    python -m benchmarks.scans [--symbols 12000] [--scans 100] [--rounds 15]

No Kafka and no clients: the evaluation, the best fifty rows of each scan and their deltas. A tick is due every 250 ms.
"""

import argparse
import json
import statistics
import time
from typing import Any

import msgspec
import numpy as np

from app.gateway.feeds.deltas import DeltaLog
from app.gateway.feeds.filtering import compiled
from app.gateway.feeds.scans import Market, Scan
from app.gateway.tables.view import View
from app.kafka.topics import MARKET_QUOTES
from app.market.filter_presets import PRESETS
from app.market.rows import QuoteRow
from benchmarks.record import keep

#: Rows that change within a tick: 10,000 a second, and the whole market at once.
CHANGED = (2500, 12_000)


def rows(count: int, random: np.random.Generator) -> list[tuple[bytes, bytes]]:
    """Rows of a lively day."""
    made = []
    for number in range(count):
        close, move = float(random.uniform(0.5, 400)), float(random.normal(0, 6))
        row = QuoteRow(
            f"S{number:05d}", "2026-11-20", True, 100.0, float(random.lognormal(12, 2)), close, close, close * 0.99,
            close, close * 1.01, close * 0.98, close, 50.0, 1, 2,
            prev_day_close=close / (1 + move / 100), avg_volume=1e6,
            free_float=float(random.lognormal(17, 1.5)), change=close * move / 100, pct_change=move,
            pct_change_since_open=move / 2, relative_volume=float(random.lognormal(0, 1)), pct_open_gap=move,
        )  # fmt: skip
        made.append((row.symbol.encode(), msgspec.json.encode(row)))
    return made


def filters(count: int) -> list[str]:
    """As many different filters, of the presets' size."""
    return [f"({PRESETS[number % len(PRESETS)].filter}) and close > 0.{number:03d}" for number in range(count)]


def tick(view: View, market: Market, scans: list[tuple[Scan, DeltaLog]], changed: list[tuple[bytes, bytes]]) -> float:
    """One evaluation of all scans; how long it took (ms)."""
    records = view.apply(MARKET_QUOTES.name, changed)
    started = time.perf_counter()
    places = market.take(records)
    fields = frozenset[str]().union(*(scan.fields for scan, _ in scans))
    columns = {name: market.columns[name][places] for name in fields}
    for scan, log in scans:
        if scan.evaluate(places, columns) and (found := scan.advance()) is not None:
            log.update(found.rows)
    return (time.perf_counter() - started) * 1000


def main() -> None:
    """All of it."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--symbols", type=int, default=12_000)
    arguments.add_argument("--scans", type=int, default=100)
    arguments.add_argument("--rounds", type=int, default=15)
    given = arguments.parse_args()
    random, view = np.random.default_rng(1), View()
    view.apply(MARKET_QUOTES.name, rows(given.symbols, random))
    market = Market(view)
    market.load()
    scans = [
        (Scan(market, compiled("scan:quotes", text), "-pct_change", 50), DeltaLog()) for text in filters(given.scans)
    ]
    report: dict[str, Any] = {"symbols": given.symbols, "scans": given.scans}
    for count in CHANGED:
        took = []
        for _ in range(given.rounds):
            fresh = rows(given.symbols, random)
            chosen = random.choice(given.symbols, min(count, given.symbols), replace=False)
            took.append(tick(view, market, scans, [fresh[each] for each in chosen]))
        report[f"tick_ms_{count}_rows_changed"] = {"p50": round(statistics.median(took), 1), "max": round(max(took), 1)}
    print(json.dumps(report, indent=1))
    keep("scans", report)


if __name__ == "__main__":
    main()
