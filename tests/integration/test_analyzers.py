"""Analyzers from the documentation run on the real day."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from app.analyzers import Analyzer, discover, table_of
from app.errors import SettingsError
from app.kafka import topics
from app.kafka.admin import ensure_topics
from app.market.events import Quote, Trade
from app.market.trade_windows import TradeWindows
from app.settings import Settings
from examples import own_windows, wide_spreads
from producers.replay import replay
from producers.tape_file import open_lines
from tests.consistency.harness import raw_table, table
from tests.eventually import eventually
from tests.integration.agents.workers import PARTITIONS, Workers, chunks_of, own_broker
from tests.tape_trades import trades_of, trades_of_chunks

PLACES = ("examples.wide_spreads:analyzer", "examples.own_windows:analyzer")
NAME = "us-equities-2013-10-09.ndjson.gz"


@pytest.mark.verify
@pytest.mark.timeout(180)
async def test_the_examples_fold_the_real_day(tmp_path: Path, tape_dir: Path) -> None:
    """A table of rows and one of state in place, in a process of their own."""
    spreads: dict[str, float] = {}
    trades: dict[str, list[Trade]] = {}
    decode = msgspec.json.Decoder(Quote | Trade | None).decode
    with open_lines(tape_dir / NAME) as lines:
        for line in lines:
            event = None if b'"ev":"A"' in line else decode(line)
            if isinstance(event, Trade):
                trades.setdefault(event.symbol or "", []).append(event)
            elif event is not None and event.bid_price and event.ask_price:
                spread = event.ask_price - event.bid_price
                spreads[event.symbol or ""] = max(spread, spreads.get(event.symbol or "", spread))
    expected_tapes = {}
    for symbol, of_symbol in trades.items():
        windows = TradeWindows()
        windows.append(symbol, of_symbol)
        expected_tapes[symbol] = trades_of(windows, symbol)
    with own_broker(tmp_path / "kafka") as bootstrap:
        await ensure_topics(bootstrap, topics.ALL_TOPICS, PARTITIONS)
        await replay(bootstrap, tape_dir / NAME)
        workers = Workers(bootstrap, tmp_path, analyzers=",".join(PLACES))
        workers.start("-m", "app.analyzers")
        try:
            specs = [table_of(wide_spreads.analyzer), table_of(own_windows.analyzer)]

            async def folded() -> bool:
                rows = await table(bootstrap, specs[0])
                return {symbol: row["spread"] for symbol, row in rows.items()} == spreads

            async def tapes_are_whole() -> bool:
                chunks = chunks_of(await raw_table(bootstrap, specs[1]))
                return {symbol: trades_of_chunks(symbol, found) for symbol, found in chunks.items()} == expected_tapes

            await eventually(folded, timeout_s=60, interval_s=1)
            await eventually(tapes_are_whole, timeout_s=60, interval_s=1)
        finally:
            workers.stop()


@pytest.mark.parametrize(
    ("places", "told"),
    [
        (("examples.nothing:analyzer",), "cannot be loaded"),
        (("examples.wide_spreads:fold",), "expected an Analyzer, was function"),
        ((PLACES[0], PLACES[0]), "is taken"),
    ],
)
def test_what_is_no_analyzer_is_refused_by_name(places: tuple[str, ...], told: str) -> None:
    """Before anything is started."""
    with pytest.raises(SettingsError, match=told):
        discover(Settings.load(analyzers=places))


def test_an_installed_package_is_found(tmp_path: Path) -> None:
    """By its entry point."""
    information = tmp_path / "acme-1.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1\n")
    (information / "entry_points.txt").write_text("[tapereader.analyzers]\nwide = examples.wide_spreads:analyzer\n")
    code = (
        f"import sys; sys.path.append({str(tmp_path)!r})\n"
        "from app.analyzers import discover\nfrom app.settings import Settings\n"
        "print([found.name for found in discover(Settings.load())])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=50)
    assert done.stdout.strip() == "['wide-spreads']"


def test_an_analyzers_table_is_compacted() -> None:
    """Under its own name."""
    analyzer = wide_spreads.analyzer
    assert isinstance(analyzer, Analyzer)
    assert (table_of(analyzer).name, table_of(analyzer).cleanup) == ("examples.wide-spreads", "compact")
