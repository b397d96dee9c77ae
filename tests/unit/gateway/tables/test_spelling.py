"""A text means the symbol of its exact letters, else the only one of the same letters; never another without a word."""

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from app.gateway.protocol.feeds import NBBO, QUOTES, SYMBOLS
from app.gateway.tables.spelling import Spellings
from app.gateway.tables.view import View

LETTERS = st.text("aAbB.", min_size=1, max_size=4)


def naive(symbols: Iterable[str], text: str) -> list[str]:
    there = set(symbols)
    return [text] if text in there else sorted(each for each in there if each.casefold() == text.casefold())


@given(st.lists(LETTERS), st.lists(LETTERS), LETTERS)
def test_a_text_means_itself_else_all_of_its_letters_that_there_are(
    symbols: list[str], gone: list[str], text: str
) -> None:
    spellings = Spellings()
    for symbol in symbols:
        spellings.note(symbol)
    alive = set(symbols) - set(gone)
    assert spellings.of(text, alive.__contains__) == naive(alive, text)


def test_a_symbol_of_any_table_is_one_and_its_feeds_have_similar_ones() -> None:
    view = View()
    view.apply(SYMBOLS.topic.name, [(b"ABCW", b"{}"), (b"ABCw", b"{}"), (b"BApA", b"{}")])
    view.apply(QUOTES.topic.name, [(b"ABCW", b"{}"), (b"AAPL", b"{}")])
    view.apply(NBBO.topic.name, [(b"AAPL", b"{}")])
    assert view.spelled("abcw") == ["ABCW", "ABCw"]
    assert view.spelled("ABCw") == ["ABCw"], "its row is not there, and is not that of another"
    assert view.spelled("bapa") == ["BApA"]
    assert view.similar("quote:AAPL") == []
    assert view.similar("quote:aapl") == ["quote:AAPL"]
    assert view.similar("quote:ABCw") == [], "it has not traded yet; the other is not meant"
    assert view.similar("tta:bapa:widget") == ["tta:BApA:widget"]
    assert view.similar("scanners:aapl") == view.similar("alerts:latest") == []
    view.apply(SYMBOLS.topic.name, [(b"ABCW", None)])
    view.apply(QUOTES.topic.name, [(b"ABCW", None)])
    assert view.spelled("abcw") == ["ABCw"]
