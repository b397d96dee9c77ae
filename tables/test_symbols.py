"""Symbols that boards and alerts leave out: those that exchanges test with, unless a setting shows them."""

from collections.abc import Callable

import tables
from app.main import settings
from app.market.symbols import is_test_symbol


def unseen_in(partition: int) -> Callable[[str], bool]:
    """Tells whether a symbol of the partition is left out, by the exchanges' lists and by the directory's names."""
    if settings.test_symbols:
        return lambda _: False
    owned = tables.symbols.owned.get(partition)
    listings = {} if owned is None else owned.rows

    def is_unseen(symbol: str) -> bool:
        listing = listings.get(symbol)
        return is_test_symbol(symbol, None if listing is None else listing.name)

    return is_unseen
