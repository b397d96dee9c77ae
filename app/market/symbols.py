"""The directory: what a symbol is. https://massive.com/docs/rest/stocks/tickers/all-tickers"""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from msgspec import Struct

#: Types that are rights to shares or baskets of them, not shares of a company: boards can leave them out.
DERIVED_TYPES: Final = frozenset({"WARRANT", "RIGHT", "UNIT", "ETF", "ETN", "ETV", "ETS", "SP"})


class Listing(Struct, frozen=True, gc=False):
    """A symbol of the directory, as a record of `massive.symbols` and a row of `market.symbols`.

    `type` is the vendor's word (CS, ADRC, ETF, PFD, WARRANT, RIGHT, UNIT, …), `exchange` the market identifier
    code of the primary listing (XNAS, XNYS, …), `day` the trading day (ISO date) of which the vendor said so.
    """

    symbol: str
    day: str
    name: str | None = None
    type: str | None = None
    exchange: str | None = None
    active: bool = True


def found_by(listings: Iterable[Listing], text: str, limit: int) -> list[Listing]:
    """What a person means by a text, best first: the symbol itself, symbols that begin with it, names with it.

    Letters' case counts for nothing but the order: the exact symbol comes before one of other letters. Among
    names those in which a word begins with the text come first; ties are by symbol.
    """
    wanted = text.strip()
    folded = wanted.casefold()
    if not folded:
        return []
    ranked: list[tuple[int, int, str, Listing]] = []
    for listing in listings:
        place = _place(listing, wanted, folded)
        if place is not None:
            ranked.append((place, len(listing.symbol) if place <= 2 else 0, listing.symbol, listing))
    return [listing for *_, listing in sorted(ranked, key=lambda each: each[:3])[:limit]]


def _place(listing: Listing, wanted: str, folded: str) -> int | None:
    symbol = listing.symbol
    if symbol == wanted:
        return 0
    if symbol.casefold() == folded:
        return 1
    if symbol.casefold().startswith(folded):
        return 2
    name = (listing.name or "").casefold()
    if name.startswith(folded) or f" {folded}" in name:
        return 3
    return 4 if folded in name else None


#: Symbols that exchanges test with, on the tape like others: Nasdaq's begin with Z, those of the NYSE's exchanges end
#: in TEST, with or without a suffix. Lists of the exchanges: nasdaqtrader.com, nyse.com (test symbols).
_TEST_SYMBOL: Final = re.compile(
    r"(Z[A-Z]ZZT|ZEXIT|ZIEXT|ZXIET|ZTEST|ZTST|ZVV|ZXYZ|[ACIMNPZ]TEST)([./ ][A-Za-z]{1,4})?"
)
_TEST_NAME: Final = re.compile(r"\btest (stock|symbol|issue|security|company)\b", re.IGNORECASE)


@lru_cache(maxsize=50_000)
def is_test_symbol(symbol: str, name: str | None = None) -> bool:
    """Whether an exchange tests with a symbol: by the exchanges' lists, or because the directory names it so."""
    return _TEST_SYMBOL.fullmatch(symbol) is not None or (name is not None and _TEST_NAME.search(name) is not None)
