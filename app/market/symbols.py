"""The directory: what a symbol is. https://massive.com/docs/rest/stocks/tickers/all-tickers"""

from collections.abc import Iterable
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
