"""The simulated universe: tickers and what does not change from day to day.

A few large companies come first, under their own names; the others are made up by the seed. Which
of them are small floats, which have no ratios and which no float is drawn by the seed as well, so
that every gap of the vendor's reference data occurs.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

MAX_SYMBOLS: Final = 12_000

#: Ticker, market, rough price in US dollars, name; the order is that of their turnover.
_LARGE: Final = """
AAPL XNAS 231 Apple Inc.|MSFT XNAS 428 Microsoft Corp|NVDA XNAS 141 Nvidia Corp|TSLA XNAS 342 Tesla, Inc.
SPY ARCX 588 SPDR S&P 500 ETF Trust|QQQ XNAS 503 Invesco QQQ Trust|AMD XNAS 138 Advanced Micro Devices
AMZN XNAS 203 Amazon.com Inc|META XNAS 561 Meta Platforms, Inc.|GOOGL XNAS 171 Alphabet Inc. Class A
PLTR XNAS 63 Palantir Technologies Inc.|INTC XNAS 24 Intel Corp|F XNYS 11 Ford Motor Company
BAC XNYS 46 Bank of America Corporation|SOFI XNAS 15 SoFi Technologies, Inc.|T XNYS 23 AT&T Inc.
IWM ARCX 231 iShares Russell 2000 ETF|PFE XNYS 25 Pfizer Inc.|NFLX XNAS 884 Netflix Inc|AVGO XNAS 164 Broadcom Inc.
JPM XNYS 244 JPMorgan Chase & Co.|XOM XNYS 121 Exxon Mobil Corporation|WFC XNYS 74 Wells Fargo & Co.
MU XNAS 101 Micron Technology Inc|NIO XNYS 4.7 NIO Inc.|RIVN XNAS 10.2 Rivian Automotive, Inc.|C XNYS 69 Citigroup Inc.
DIS XNYS 114 The Walt Disney Company|BA XNYS 146 The Boeing Company|KO XNYS 63 The Coca-Cola Company
UBER XNYS 70 Uber Technologies, Inc.|WMT XNYS 88 Walmart Inc.|GLD ARCX 247 SPDR Gold Shares
COIN XNAS 310 Coinbase Global
V XNYS 308 Visa Inc.|GE XNYS 178 General Electric Company|PLUG XNAS 2.1 Plug Power Inc|SNAP XNYS 11.2 Snap Inc.
BRK.B XNYS 470 Berkshire Hathaway Inc. Class B|GME XNYS 28 GameStop Corporation
"""
_FUNDS: Final = frozenset({"SPY", "QQQ", "IWM", "GLD"})
_TAPE_OF_MARKET: Final = {"XNYS": 1, "ARCX": 2, "XASE": 2, "XNAS": 3}
_SYLLABLES: Final = (
    "Ar",
    "Bel",
    "Cor",
    "Dyn",
    "El",
    "Fer",
    "Gen",
    "Hel",
    "Ion",
    "Kes",
    "Lum",
    "Nov",
    "Ori",
    "Sol",
    "Vex",
)
_KINDS: Final = ("Therapeutics", "Energy", "Holdings", "Systems", "Bancorp", "Mining", "Robotics", "Logistics")

#: Turnover falls with the rank to this power: the first of 500 has about 6 % of all trades.
RANK_EXPONENT: Final = -0.95


@dataclass(frozen=True, slots=True)
class Universe:
    """What stays the same of every symbol, as columns; a symbol's slot is its index in all of them.

    `weight` is its share of the market's trades (sums to 1), `volatility` the standard deviation of
    a day's log return, `free_float` shares (0 where the vendor says 0, -1 where it has no answer).
    """

    tickers: tuple[str, ...]
    names: tuple[str, ...]
    markets: tuple[str, ...]
    kinds: tuple[str, ...]
    slot: dict[str, int]
    tape: Ints
    weight: Floats
    price: Floats
    volatility: Floats
    mean_size: Floats
    small_float: Flags
    has_ratios: Flags
    free_float: Floats
    shares: Floats

    def __len__(self) -> int:
        return len(self.tickers)


def _made_up_tickers(rng: np.random.Generator, count: int, taken: set[str]) -> list[str]:
    letters = np.array(list("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
    found: list[str] = []
    # 26**3 + 26**4 tickers exist; a round draws twice what is missing, so few rounds are enough.
    while len(found) < count:
        lengths = rng.choice([3, 4], size=2 * (count - len(found)) + 8, p=[0.35, 0.65])
        for length in lengths.tolist():
            ticker = "".join(rng.choice(letters, size=length).tolist())
            if ticker not in taken:
                taken.add(ticker)
                found.append(ticker)
    return found[:count]


def _listing(rng: np.random.Generator, count: int) -> list[tuple[str, str, float, str]]:
    rows: list[tuple[str, str, float, str]] = []
    for entry in _LARGE.replace("\n", "|").strip("|").split("|")[:count]:
        ticker, market, price, name = entry.split(" ", 3)
        rows.append((ticker, market, float(price), name))
    rest = count - len(rows)
    if rest:
        prices = np.exp(rng.normal(np.log(18.0), 1.2, rest)).clip(0.4, 900.0).round(2).tolist()
        markets = rng.choice(["XNAS", "XNYS", "XASE", "ARCX"], size=rest, p=[0.55, 0.33, 0.07, 0.05]).tolist()
        parts = rng.integers(0, len(_SYLLABLES), (rest, 2)).tolist()
        kinds = rng.choice(_KINDS, size=rest).tolist()
        tickers = _made_up_tickers(rng, rest, {row[0] for row in rows})
        for ticker, market, price, (one, two), kind in zip(tickers, markets, prices, parts, kinds, strict=True):
            rows.append((ticker, market, price, f"{_SYLLABLES[one]}{_SYLLABLES[two].lower()} {kind}"))
    return rows


def make_universe(count: int, seed: int) -> Universe:
    """`count` symbols (1 to 12,000) of a seed. Raises `ValueError`: another count."""
    if not 1 <= count <= MAX_SYMBOLS:
        raise ValueError(f"expected 1 to {MAX_SYMBOLS} symbols, was {count}")
    rng = np.random.default_rng([seed, 1])
    rows = _listing(rng, count)
    price = np.array([row[2] for row in rows])
    rank = np.arange(count)
    weight = (rank + 2.0) ** RANK_EXPONENT
    small_float = (rng.random(count) < 0.08) & (rank >= 40) & (price < 30)
    if count >= 60 and not small_float.any():
        small_float[-3:] = True
    shares = np.where(
        small_float, rng.uniform(2e6, 2e7, count), 3e9 * (rank + 2.0) ** -0.6 * rng.lognormal(0, 0.5, count)
    )
    free_float = (shares * rng.uniform(0.55, 0.98, count)).round()
    fate = rng.random(count)
    free_float[(fate < 0.03) & (rank >= 5)] = 0.0
    free_float[(fate > 0.96) & (rank >= 5)] = -1.0
    kinds = tuple("ETF" if row[0] in _FUNDS or row[1] == "ARCX" else "CS" for row in rows)
    is_fund = np.array([kind == "ETF" for kind in kinds])
    return Universe(
        tickers=tuple(row[0] for row in rows),
        names=tuple(row[3] for row in rows),
        markets=tuple(row[1] for row in rows),
        kinds=kinds,
        slot={row[0]: slot for slot, row in enumerate(rows)},
        tape=np.array([_TAPE_OF_MARKET[row[1]] for row in rows]),
        weight=weight / weight.sum(),
        price=price,
        volatility=np.where(small_float, 0.09, 0.014 * np.clip(40 / price, 1, 4) ** 0.5),
        mean_size=np.clip(2500 / price, 25, 400),
        small_float=small_float,
        has_ratios=~is_fund & ((rng.random(count) > 0.12) | (rank < 5)),
        free_float=free_float,
        shares=shares.round(),
    )
