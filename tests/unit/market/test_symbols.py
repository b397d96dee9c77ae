"""What a person may mean by a text, best first."""

from hypothesis import given
from hypothesis import strategies as st

from app.market.symbols import Listing, found_by, is_test_symbol
from producers.simulator.securities import TEST_SYMBOLS
from producers.simulator.symbols import make_universe

DAY = "2026-11-20"
LISTINGS = [
    Listing("ABCW", DAY, "Abacus Corp", "CS", "XNAS"),
    Listing("ABCw", DAY, "Abacus Corp Warrants", "WARRANT", "XNAS"),
    Listing("A", DAY, "Agilent Technologies", "CS", "XNYS"),
    Listing("AA", DAY, "Alcoa Corporation", "CS", "XNYS"),
    Listing("CBA", DAY, "First Abacus Bancorp", "CS", "XNYS"),
    Listing("ZZZ", DAY, None),
]
letters = st.text("ABab ", max_size=4)
listing = st.builds(Listing, symbol=st.text("ABab", min_size=1, max_size=3), day=st.just(DAY), name=letters)


def symbols(text: str, limit: int = 10) -> list[str]:
    return [each.symbol for each in found_by(LISTINGS, text, limit)]


def test_the_exact_letters_come_first_then_the_others_of_any_case() -> None:
    assert symbols("ABCw") == ["ABCw", "ABCW"]
    assert symbols("ABCW") == ["ABCW", "ABCw"]
    assert symbols("a") == ["A", "AA", "ABCW", "ABCw", "CBA"]


def test_names_are_found_by_the_begin_of_a_word() -> None:
    assert symbols("aba") == ["ABCW", "ABCw", "CBA"]
    assert symbols("corp") == ["AA", "ABCW", "ABCw", "CBA"], "begin of a word before the middle of one"
    assert symbols("abacus", limit=1) == ["ABCW"]
    assert symbols("  ") == symbols("nothing of that name") == []


@given(st.lists(listing, max_size=12, unique_by=lambda each: each.symbol), st.text("ABab", min_size=1, max_size=3))
def test_all_that_hold_the_text_are_found_and_no_other(listings: list[Listing], text: str) -> None:
    found = found_by(listings, text, 100)
    folded = text.casefold()
    expected = {
        each.symbol
        for each in listings
        if each.symbol.casefold().startswith(folded) or folded in (each.name or "").casefold()
    }
    assert {each.symbol for each in found} == expected
    assert len(found) == len(expected)
    if any(each.symbol == text for each in listings):
        assert found[0].symbol == text


def test_symbols_that_exchanges_test_with_are_known_by_list_and_by_name() -> None:
    for row in TEST_SYMBOLS:
        assert is_test_symbol(row.ticker)
        assert is_test_symbol("QQQX", row.name)
    for symbol in ("ZVZZT", "ZJZZT", "ZEXIT", "NTEST.Q", "ATEST", "ZTST"):
        assert is_test_symbol(symbol)
    for symbol, name in (
        ("ZVZZ", None),
        ("TEST", "Testa Corp"),
        ("ZVZZTA", None),
        ("Zvzzt", None),
        ("A", "Contest Stock"),
    ):
        assert not is_test_symbol(symbol, name)


def test_no_made_up_company_is_taken_for_a_test_symbol() -> None:
    universe = make_universe(12_000, 3, test_symbols=True)
    found = {
        ticker for ticker, name in zip(universe.tickers, universe.names, strict=True) if is_test_symbol(ticker, name)
    }
    assert found == {row.ticker for row in TEST_SYMBOLS}
