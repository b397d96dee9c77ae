"""The conditions of trades: as `/v3/reference/conditions` lists them, and as the simulated prints bear them.

Source: the vendor's glossary of conditions; several conditions of a trade are joined by "any no wins". The table
is the simulator's own: with the platform's a mistake in that one would not show.
"""

from enum import IntEnum
from typing import Any, Final

import numpy as np

from producers.simulator.symbols import Flags

#: Name, and whether it updates high and low, open and close, volume.
_RULES: Final = {
    0: ("Regular Sale", True, True, True),
    1: ("Acquisition", True, True, True),
    2: ("Average Price Trade", False, False, True),
    3: ("Automatic Execution", True, True, True),
    4: ("Bunched Trade", True, True, True),
    5: ("Bunched Sold Trade", True, False, True),
    7: ("Cash Sale", False, False, True),
    8: ("Closing Prints", True, True, True),
    9: ("Cross Trade", True, True, True),
    10: ("Derivatively Priced", True, False, True),
    11: ("Distribution", True, True, True),
    12: ("Form T/Extended Hours", False, False, True),
    13: ("Extended Hours (Sold Out Of Sequence)", False, False, True),
    14: ("Intermarket Sweep", True, True, True),
    15: ("Market Center Official Close", False, False, False),
    16: ("Market Center Official Open", False, False, False),
    20: ("Next Day", False, False, True),
    21: ("Price Variation Trade", False, False, True),
    22: ("Prior Reference Price", True, False, True),
    23: ("Rule 155 Trade (AMEX)", True, True, True),
    25: ("Opening Prints", True, True, True),
    27: ("Stopped Stock (Regular Trade)", True, True, True),
    28: ("Re-Opening Prints", True, True, True),
    29: ("Seller", True, False, True),
    30: ("Sold Last", True, True, True),
    33: ("Sold (Out Of Sequence)", True, False, True),
    34: ("Split Trade", True, True, True),
    37: ("Odd Lot Trade", False, False, True),
    38: ("Corrected Consolidated Close", True, True, False),
    52: ("Contingent Trade", False, False, True),
    53: ("Qualified Contingent Trade (QCT)", False, False, True),
}

ODD_LOT: Final = 37
FORM_T: Final = 12


class Kind(IntEnum):
    """What a print is; from `AVERAGE_PRICE` on its price is not that of the market's moment, or it is of an auction."""

    ORDINARY = 0
    SWEEP = 1
    EXEMPT = 2
    SWEEP_EXEMPT = 3
    AVERAGE_PRICE = 4
    CONTINGENT = 5
    QUALIFIED_CONTINGENT = 6
    CASH = 7
    NEXT_DAY = 8
    OUT_OF_SEQUENCE = 9
    DERIVED = 10
    PRIOR_REFERENCE = 11
    BUNCHED_SOLD = 12
    OPENING = 13
    OFFICIAL_OPEN = 14
    CLOSING = 15
    OFFICIAL_CLOSE = 16
    REOPENING = 17


#: The conditions of each kind in the regular session; the numbers of `_RULES`, 41 is Trade Thru Exempt.
_OF_KIND: Final = {
    Kind.ORDINARY: (),
    Kind.SWEEP: (14,),
    Kind.EXEMPT: (41,),
    Kind.SWEEP_EXEMPT: (14, 41),
    Kind.AVERAGE_PRICE: (2,),
    Kind.CONTINGENT: (52,),
    Kind.QUALIFIED_CONTINGENT: (53,),
    Kind.CASH: (7,),
    Kind.NEXT_DAY: (20,),
    Kind.OUT_OF_SEQUENCE: (33,),
    Kind.DERIVED: (10,),
    Kind.PRIOR_REFERENCE: (22,),
    Kind.BUNCHED_SOLD: (5,),
    Kind.OPENING: (25,),
    Kind.OFFICIAL_OPEN: (16,),
    Kind.CLOSING: (8,),
    Kind.OFFICIAL_CLOSE: (15,),
    Kind.REOPENING: (28,),
}
_AUCTIONS: Final = (Kind.OPENING, Kind.OFFICIAL_OPEN, Kind.CLOSING, Kind.OFFICIAL_CLOSE, Kind.REOPENING)

#: Prices off the market by per cents; the others from `AVERAGE_PRICE` to `BUNCHED_SOLD` are the market's of earlier.
OFF_MARKET: Final = (Kind.AVERAGE_PRICE, Kind.CONTINGENT, Kind.QUALIFIED_CONTINGENT, Kind.CASH, Kind.NEXT_DAY)


def _of(kind: Kind, *, odd: bool, extended: bool) -> tuple[int, ...]:
    own = _OF_KIND[kind]
    if kind in _AUCTIONS:
        return own
    if extended:
        own = (13,) if kind is Kind.OUT_OF_SEQUENCE else (*own, FORM_T)
    return (*own, ODD_LOT) if odd else own


#: The conditions of a print by its code: four times its kind, and one if it is an odd lot, and two outside of the
#: regular session.
CONDITIONS: Final = tuple(
    _of(kind, odd=odd, extended=extended) for kind in Kind for extended in (False, True) for odd in (False, True)
)


def _allowed(figure: int, *, form_t: bool) -> Flags:
    """By code: whether its conditions allow a figure; `form_t` says whether Form T counts as one of them."""
    return np.array(
        [
            all(_RULES[each][figure] for each in held if each in _RULES and (form_t or each != FORM_T))
            for held in CONDITIONS
        ]
    )


#: By code: whether a print counts for volume; for high and low, for open and close of second and minute bars, which
#: take Form T prints outside of the regular session; and of the day's bar, which does not.
VOLUME: Final = _allowed(3, form_t=True)
HIGH_LOW: Final = _allowed(1, form_t=False)
OPEN_CLOSE: Final = _allowed(2, form_t=False)
DAY_HIGH_LOW: Final = _allowed(1, form_t=True)
DAY_OPEN_CLOSE: Final = _allowed(2, form_t=True)


#: Conditions of quotes: their ids are those of trades' conditions, too.
_OF_QUOTES: Final = {1: "Regular, Two-Sided Open", 2: "Regular, One-Sided Open", 12: "Fast Trading"}


def conditions(data_type: str | None = None) -> list[dict[str, Any]]:
    """All conditions, by type and id; `data_type` is `trade` or `nbbo` where only those are wanted."""
    of_quotes = [
        {"id": number, "type": "quote_condition", "name": name, "asset_class": "stocks", "data_types": ["nbbo"]}
        for number, name in _OF_QUOTES.items()
    ]
    return [row for row in [*of_quotes, *_of_trades()] if data_type in (None, *row["data_types"])]


def _of_trades() -> list[dict[str, Any]]:
    return [
        {
            "id": number,
            "type": "sale_condition",
            "name": name,
            "asset_class": "stocks",
            "data_types": ["trade"],
            "update_rules": {
                where: {
                    "updates_high_low": high_low,
                    "updates_open_close": open_close,
                    "updates_volume": volume,
                }
                for where in ("consolidated", "market_center")
            },
        }
        for number, (name, high_low, open_close, volume) in _RULES.items()
    ]
