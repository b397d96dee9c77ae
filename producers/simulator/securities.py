"""What the tape lists beside shares and funds: warrants, units, rights, preferreds, lower-case letters, test symbols.

Symbols are written as the vendor writes them: `ABC.WS` and `ABC.U` of NYSE's and `ABCDW`, `ABCDU`, `ABCDR` of Nasdaq's
companies, `BApA` for a preferred, `ABCw` for shares that trade when issued, which stands beside a warrant `ABCW`.
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np


class Row(NamedTuple):
    """A symbol: market of its listing, rough price in US dollars, name, the vendor's type."""

    ticker: str
    market: str
    price: float
    name: str
    kind: str = "CS"


#: A market of fewer symbols has ordinary ones only: what a small one is made for is not this.
WHOLE_MARKET: Final = 200
#: One in so many of the made-up symbols is not a share.
ONE_IN: Final = 8

#: Symbols that the exchanges test their systems with. Whether the vendor sends prints of them is not established.
TEST_SYMBOLS: Final = (
    Row("ZVZZT", "XNAS", 10.0, "Nasdaq Test Stock"),
    Row("ZWZZT", "XNAS", 25.0, "Nasdaq Test Stock"),
    Row("ZXZZT", "XNAS", 50.0, "Nasdaq Test Stock"),
    Row("NTEST.A", "XNYS", 12.0, "NYSE Test Security A"),
    Row("CTEST", "XASE", 8.0, "NYSE American Test Security"),
)
_FIXED: Final = (
    Row("BApA", "XNYS", 61.0, "The Boeing Company Depositary Shares, Series A", "PFD"),
    Row("KIMpL", "XNYS", 21.5, "Kimco Realty Corporation Depositary Shares, Series L", "PFD"),
)


def securities(rng: np.random.Generator, companies: Sequence[Row]) -> Iterator[Row]:
    """Securities of companies, and fixed ones first; a company with a ticker of three letters at Nasdaq has two.

    Tickers of the companies' own may be among them: who takes them leaves these out.
    """
    yield from _FIXED
    for number, (ticker, market, price, name, _) in enumerate(companies):
        nasdaq, turn = market == "XNAS", number % 5
        warrant = Row(
            f"{ticker}W" if nasdaq else f"{ticker}.WS", market, _cents(rng, 0.05, 3.0), f"{name} Warrant", "WARRANT"
        )
        if nasdaq and len(ticker) == 3:
            yield warrant
            yield Row(f"{ticker}w", market, price, f"{name} When Issued")
        elif turn == 0:
            yield warrant
        elif turn == 1:
            yield Row(f"{ticker}U" if nasdaq else f"{ticker}.U", market, _cents(rng, 9.9, 10.6), f"{name} Unit", "UNIT")
        elif turn == 2:
            yield Row(
                f"{ticker}R" if nasdaq else f"{ticker}.RT", market, _cents(rng, 0.05, 0.6), f"{name} Right", "RIGHT"
            )
        elif turn == 3 and not nasdaq:
            yield Row(f"{ticker}pB", market, _cents(rng, 18.0, 26.0), f"{name} Preferred, Series B", "PFD")


def _cents(rng: np.random.Generator, low: float, high: float) -> float:
    return round(float(rng.uniform(low, high)), 2)
