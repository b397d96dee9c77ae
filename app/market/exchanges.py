"""The names of exchanges by the vendor's numbers (`/v3/reference/exchanges?asset_class=stocks`)."""

from collections.abc import Mapping
from typing import Final

#: The table for the start, until the vendor's own is there.
BUILT_IN: Final[Mapping[int, str]] = {
    1: "NYSE American",
    2: "Nasdaq BX",
    3: "NYSE National",
    4: "FINRA ADF",
    5: "UTP",
    6: "ISE",
    7: "Cboe EDGA",
    8: "Cboe EDGX",
    9: "NYSE Chicago",
    10: "NYSE",
    11: "NYSE Arca",
    12: "Nasdaq",
    13: "CTA",
    14: "LTSE",
    15: "IEX",
    16: "Cboe Stock Exchange",
    17: "Nasdaq PSX",
    18: "Cboe BYX",
    19: "Cboe BZX",
    20: "MIAX Pearl",
    21: "MEMX",
    62: "OTC Equity Security",
    201: "FINRA NYSE TRF",
    202: "FINRA Nasdaq TRF Carteret",
    203: "FINRA Nasdaq TRF Chicago",
}


def exchange_name(number: int | None, trf: int | None = None, names: Mapping[int, str] = BUILT_IN) -> str | None:
    """Where a print was reported: its trade reporting facility where it has one, else its exchange; None: unknown."""
    return names.get(trf or 0) or names.get(number or 0)
