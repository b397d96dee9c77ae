"""What a print counts for, with the vendor's own values: conditions, fractions of a share, identity."""

import itertools

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.market.events import Quote, Trade, exact_shares
from app.market.exchanges import exchange_name
from app.market.nbbo import Nbbo, fold_nbbo
from app.market.trade_conditions import BUILT_IN, Condition, ConditionTable, Counts
from app.market.trade_statistics import WindowStatistics
from app.market.trade_tape import TapePartition, WindowTrade, read_tape
from app.market.trade_windows import TapeTrade, TradeWindows

REGULAR_MS = 1_789_741_800_000  # 2026-09-18 10:30 ET
PRE_MARKET_MS = REGULAR_MS - 2 * 3_600_000
TABLE = ConditionTable()
CODES = sorted(BUILT_IN)


def quote() -> Nbbo:
    found = fold_nbbo(None, Quote(symbol="A", bid_price=156.33, ask_price=156.35, timestamp=REGULAR_MS))
    assert found is not None
    return found


def window(*trades: Trade, known: Nbbo | None = None) -> tuple[WindowStatistics, list[TapeTrade]]:
    windows = TradeWindows()
    for trade in trades:
        windows.append("A", [trade], known)
    found = windows.statistics("A")
    assert found is not None
    return found, windows.tape("A")


def sale(number: int, price: float, size: float, *conditions: int, at_ms: int = REGULAR_MS, **more: object) -> Trade:
    fields = {"exchange": 4, "id": str(number), "sequence_number": number, "timestamp": at_ms + number, **more}
    return Trade("A", price=price, size=size, conditions=list(conditions), **fields)  # type: ignore[arg-type]


@given(st.lists(st.sampled_from([*CODES, 999]), max_size=4), st.booleans())
def test_any_no_wins(codes: list[int], regular: bool) -> None:
    at_ms = REGULAR_MS if regular else PRE_MARKET_MS
    expected = Counts.ALL
    for code in codes:
        if code == 999 or (code == 12 and not regular):
            continue
        expected &= BUILT_IN[code].counts
    assert TABLE.counts(tuple(codes), 10.0, at_ms) == expected
    assert TABLE.counts(tuple(codes), 0.0, at_ms) == expected & Counts.VOLUME


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        ((15, 16), 0),
        ((2, 7, 12, 13, 20, 21, 37, 52, 53), Counts.VOLUME),
        ((5, 10, 22, 29, 33), Counts.VOLUME | Counts.HIGH_LOW),
        ((38,), Counts.HIGH_LOW | Counts.LAST),
        ((0, 1, 3, 4, 8, 9, 11, 14, 23, 25, 27, 28, 30, 34, 36, 17, 18, 19, 41), Counts.ALL - Counts.QUOTED),
    ],
)
def test_the_vendors_table_of_update_rules(codes: tuple[int, ...], expected: int) -> None:
    for code in codes:
        assert TABLE.counts((code,), 10.0, REGULAR_MS) & ~Counts.QUOTED == expected, code


def test_form_t_sets_prices_outside_of_the_regular_session_only() -> None:
    assert TABLE.counts((12,), 10.0, PRE_MARKET_MS) == Counts.ALL
    assert TABLE.counts((12,), 10.0, REGULAR_MS) & Counts.LAST == 0
    assert TABLE.counts((12, 37), 10.0, PRE_MARKET_MS) & Counts.LAST == 0


def test_odd_lots_and_average_prices_count_for_volume_and_move_no_price() -> None:
    found, tape = window(
        sale(1, 156.34, 100), sale(2, 999.0, 7, 37), sale(3, 1.0, 5000, 2), sale(4, 2.0, 50_000, 52), sale(5, 0, 9)
    )
    assert (found.latest_price, found.latest_timestamp) == (156.34, REGULAR_MS + 1)
    assert (found.total_volume, found.trade_count, found.max_size) == (55_116, 5, 50_000)
    assert [each.sets_last or each.sets_high_low for each in tape] == [False, False, False, False, True]
    assert all(each.counts_volume for each in tape)


def test_official_open_and_close_are_listed_and_count_for_nothing() -> None:
    found, tape = window(sale(1, 10.0, 100), sale(2, 10.5, 1_000_000, 16), sale(3, 10.6, 2_000_000, 15))
    assert (found.total_volume, found.trade_count, found.max_size, found.avg_size) == (100, 1, 100, 100)
    assert found.latest_price == 10.0
    assert [(each.counts_volume, each.condition_names) for each in tape] == [
        (False, ("Market Center Official Close",)),
        (False, ("Market Center Official Open",)),
        (True, ()),
    ]


def test_a_window_of_nothing_that_counts_has_no_last_price() -> None:
    found, _ = window(sale(1, 10.0, 100, 15))
    assert found == WindowStatistics(0, 0, 0, 0, 0, None, None, None)


@given(st.permutations(range(6)))
def test_the_last_price_is_the_newest_prints_by_time_whatever_the_order_of_arrival(order: list[int]) -> None:
    prints = [
        sale(1, 10.0, 1), sale(2, 11.0, 1), sale(3, 12.0, 1), sale(4, 50.0, 1, 33), sale(5, 60.0, 1, 13),
        sale(6, 70.0, 1, 37),
    ]  # fmt: skip
    found, _ = window(*(prints[place] for place in order))
    assert (found.latest_price, found.trade_count) == (12.0, 6)


def test_a_print_that_the_quote_of_its_moment_did_not_price_has_no_side() -> None:
    _, tape = window(
        sale(1, 156.35, 10, 37), sale(2, 156.35, 10, 2), sale(3, 156.35, 10, 22), sale(4, 156.35, 10, 8),
        sale(5, 156.33, 10, 14, 41), known=quote(),
    )  # fmt: skip
    assert [each.side for each in tape] == ["bid", None, None, None, "ask"]


def test_sizes_are_those_with_fractions() -> None:
    """Values of the vendor's own files: 0.0015 shares of A."""
    raw = (
        b'{"ev":"T","sym":"A","x":4,"i":"71675225257543","z":1,"p":156.34,"s":0,"ds":"0.0015","c":[37],'
        b'"t":1789706372522,"pt":1789706368198,"q":3610,"trfi":202,"trft":1789706372164}'
    )
    trade = msgspec.json.decode(raw, type=WindowTrade)
    partition = TapePartition()
    partition.fold([trade, msgspec.json.decode(raw.replace(b'"q":3610', b'"q":3611'), type=WindowTrade)])
    chunks = {int(key.rpartition("/")[2]): data for key, data in partition.take_changes().items() if data}
    tape = read_tape("A", chunks)
    assert [(each.size, each.exchange_name, each.condition_names) for each in tape] == [
        (0.0015, "FINRA Nasdaq TRF Carteret", ("Odd Lot Trade",))
    ] * 2
    found = partition.handed()["A"].statistics
    assert (found.total_volume, found.max_size) == (0.003, 0.0015)


@pytest.mark.parametrize(
    ("decimal", "whole", "shares"),
    [("4989.0", 4989, 4989.0), ("4332125.038360", 4332125, 4332125.03836), (None, 100, 100), (None, None, None)],
)
def test_exact_shares_are_the_decimals_where_they_are_there(
    decimal: str | None, whole: float | None, shares: float | None
) -> None:
    assert exact_shares(decimal, whole) == shares


@pytest.mark.parametrize("decimal", ["", "x", "nan", "inf", "-1", "1e400"])
def test_a_decimal_that_is_no_number_of_shares_is_an_error(decimal: str) -> None:
    with pytest.raises(ValueError, match="expected a number of shares"):
        exact_shares(decimal, 1)
    raw = msgspec.json.encode({"ev": "T", "sym": "A", "ds": decimal})
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(raw, type=WindowTrade)


def test_sums_have_no_floats_tail() -> None:
    found, _ = window(*(sale(number, 10.0, 0, decimal_size="0.1") for number in range(1, 4)))
    assert (found.total_volume, found.avg_size) == (0.3, 0.1)


def test_a_trade_is_exchange_facility_id_and_sequence_number_together() -> None:
    kinds = list(itertools.product((4, 12), (0, 202), ("1", "2"), (0, 7, 8)))
    trades = [Trade("A", exchange=x, trf_id=trf, id=i, sequence_number=q, price=1.0, size=1.0, timestamp=REGULAR_MS)
              for x, trf, i, q in kinds]  # fmt: skip
    windows = TradeWindows()
    assert windows.append("A", trades) == len(kinds)
    assert windows.append("A", reversed(trades)) == 0
    assert len(windows.tape("A")) == len(kinds)


def test_names_of_what_nobody_knows_are_their_numbers() -> None:
    assert TABLE.names([14, 41, 250]) == ("Intermarket Sweep", "Trade Thru Exempt", "condition 250")
    assert (exchange_name(12), exchange_name(4, 201), exchange_name(99), exchange_name(None)) == (
        "Nasdaq", "FINRA NYSE TRF", None, None,
    )  # fmt: skip


def test_a_table_of_the_vendors_takes_the_place_of_the_built_in_one() -> None:
    table = ConditionTable({14: Condition("Sweep", volume=False)})
    assert table.counts((14,), 10.0, REGULAR_MS) == Counts.ALL - Counts.VOLUME
    assert table.counts((15,), 10.0, REGULAR_MS) == Counts.ALL
