"""The tape in the gateway's memory against all trades, and within its bound."""

from hypothesis import given
from hypothesis import strategies as st

from app.gateway.tables.tape import CHUNK_OVERHEAD_BYTES, TapeView
from app.kafka.topics import TRADE_TAPE
from app.market.trade_ring import WINDOW_TRADES
from app.market.trade_tape import TapePartition, WindowTrade
from app.market.trade_windows import CHUNK_SLOTS, CHUNK_TRADES

START_MS = 1_381_325_400_000
MIB = 1024 * 1024


def trade_of(symbol: str, number: int) -> WindowTrade:
    return WindowTrade(symbol, price=10.0, size=100.0, timestamp=START_MS + number, sequence_number=number + 1)


def fold(partition: TapePartition, view: TapeView, trades: list[WindowTrade]) -> None:
    partition.fold(trades)
    pairs = [(key.encode(), data) for key, data in partition.take_changes().items()]
    view.apply(TRADE_TAPE.name, pairs)


@given(st.lists(st.tuples(st.sampled_from(["A", "B/X", "C"]), st.integers(1, 700)), max_size=8), st.integers(1, 1000))
def test_the_tape_is_that_of_the_worker(batches: list[tuple[str, int]], limit: int) -> None:
    partition, view = TapePartition(), TapeView(64 * MIB)
    count = 0
    for symbol, size in batches:
        fold(partition, view, [trade_of(symbol, count + each) for each in range(size)])
        count += size
    for symbol in ("A", "B/X", "C"):
        assert view.trades(symbol, limit) == partition.windows.tape(symbol, limit)
        assert view.whole(symbol)


def test_a_window_that_is_dropped_is_gone() -> None:
    partition, view = TapePartition(), TapeView(64 * MIB)
    fold(partition, view, [trade_of("A", each) for each in range(100)])
    fold(partition, view, [trade_of(symbol, 6 * 60_000) for symbol in "BCD"])
    assert view.trades("A", 10) == []
    assert len(view.trades("B", 10)) == 1


def test_memory_is_bounded_and_the_newest_trades_stay() -> None:
    budget = 200_000
    partition, view = TapePartition(), TapeView(budget)
    for start in range(0, 1200, 100):
        batch = [trade_of(f"S{symbol}", start + each) for symbol in range(20) for each in range(100)]
        fold(partition, view, batch)
        assert view.held_bytes <= budget
    assert view.held_bytes == sum(
        len(data) + CHUNK_OVERHEAD_BYTES for chunks in view._symbols.values() for _, data in chunks.values()
    )
    assert 1 < view.most_chunks < CHUNK_SLOTS
    found = view.trades("S7", WINDOW_TRADES)
    assert found == partition.windows.tape("S7")[: len(found)]
    assert len(found) > CHUNK_TRADES
    assert not view.whole("S7")


def test_what_is_no_chunk_is_left_out() -> None:
    view = TapeView(MIB)
    view.apply(TRADE_TAPE.name, [(None, b"x"), (b"nosymbol", b"x"), (b"A/x", b"[0]"), (b"A/1", None)])
    assert (view.trades("A", 10), view.held_bytes, view.records_read) == ([], 0, 4)
