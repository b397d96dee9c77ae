"""The conditions of trades as `/v3/reference/conditions` lists them: which of a trade's figures count, and where.

Source: the vendor's glossary of conditions; several conditions of a trade are joined by "any no wins".
"""

from typing import Any, Final

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


def conditions() -> list[dict[str, Any]]:
    """All conditions of trades, by id."""
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
