"""The simulated universe: tickers and what does not change from day to day.

A few large companies come first, under their own names; the others are made up by the seed. Which
of them are small floats, which have no ratios and which no float is drawn by the seed as well, so
that every gap of the vendor's reference data occurs.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from producers.simulator.securities import ONE_IN, TEST_SYMBOLS, WHOLE_MARKET, Row, securities

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

MAX_SYMBOLS: Final = 12_000
#: Of so many companies one trades over the counter.
OTC_ONE_IN: Final = 100

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
AZO XNYS 3150 AutoZone, Inc.|BRK.A XNYS 705000 Berkshire Hathaway Inc. Class A|BKNG XNAS 5040 Booking Holdings Inc.
"""
_FUNDS: Final = frozenset({"SPY", "QQQ", "IWM", "GLD"})
#: Securities over the counter are not on a tape; that they come with Nasdaq's is not established.
_TAPE_OF_MARKET: Final = {"XNYS": 1, "ARCX": 2, "XASE": 2, "XNAS": 3, "OTC": 3}
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
    a day's log return, `free_float` shares (0 where the vendor says 0, -1 where it has no answer). `is_new` are listed
    since the first simulated day, `renamed` have another ticker since then: slots and the tickers of before.
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
    otc: Flags
    is_new: Flags
    renamed: dict[int, str]

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


def _companies(rng: np.random.Generator, count: int, taken: set[str]) -> list[Row]:
    prices = np.exp(rng.normal(np.log(18.0), 1.2, count)).clip(0.4, 900.0).round(2).tolist()
    markets = rng.choice(["XNAS", "XNYS", "XASE", "ARCX"], size=count, p=[0.55, 0.33, 0.07, 0.05]).tolist()
    parts = rng.integers(0, len(_SYLLABLES), (count, 2)).tolist()
    businesses = rng.choice(_KINDS, size=count).tolist()
    tickers = _made_up_tickers(rng, count, taken)
    return [
        Row(
            ticker,
            market,
            price,
            f"{_SYLLABLES[one]}{_SYLLABLES[two].lower()} {business}",
            "ETF" if market == "ARCX" else "CS",
        )
        for ticker, market, price, (one, two), business in zip(tickers, markets, prices, parts, businesses, strict=True)
    ]


def _listing(rng: np.random.Generator, count: int, test_symbols: bool, otc: bool) -> list[Row]:
    rows: list[Row] = []
    for entry in _LARGE.replace("\n", "|").strip("|").split("|")[:count]:
        ticker, market, price, name = entry.split(" ", 3)
        rows.append(Row(ticker, market, float(price), name, "ETF" if ticker in _FUNDS else "CS"))
    taken = {row.ticker for row in rows}
    made_up = _companies(rng, count - len(rows), taken) if count > len(rows) else []
    if count >= WHOLE_MARKET:
        others = list(TEST_SYMBOLS) if test_symbols else []
        for row in securities(rng, made_up):
            if len(others) >= len(made_up) // ONE_IN:
                break
            if row.ticker not in taken:
                taken.add(row.ticker)
                others.append(row)
        made_up[len(made_up) - len(others) :] = others
        made_up = [made_up[place] for place in rng.permutation(len(made_up)).tolist()]
        companies = [place for place, row in enumerate(made_up) if row.kind == "CS"] if otc else []
        for place in companies[::OTC_ONE_IN]:
            made_up[place] = made_up[place]._replace(market="OTC")
    return rows + made_up


def _renamed(rng: np.random.Generator, rows: list[Row]) -> dict[int, str]:
    """One company in a thousand, at least one, with its ticker of before."""
    companies = [slot for slot, row in enumerate(rows) if slot >= 60 and row.kind == "CS" and row.ticker.isalpha()]
    slots = rng.choice(companies, max(len(rows) // 1000, 1), replace=False).tolist()
    former = _made_up_tickers(rng, len(slots), {row.ticker for row in rows})
    return dict(zip(slots, former, strict=True))


def make_universe(count: int, seed: int, *, test_symbols: bool = True, otc: bool = False) -> Universe:
    """`count` symbols (1 to 12,000) of a seed; from 200 on with all kinds of securities, new and renamed ones.

    `test_symbols` says whether the exchanges' test symbols are among them then, `otc` whether some companies
    trade over the counter. Raises `ValueError`: another count.
    """
    if not 1 <= count <= MAX_SYMBOLS:
        raise ValueError(f"expected 1 to {MAX_SYMBOLS} symbols, was {count}")
    rng = np.random.default_rng([seed, 1])
    rows = _listing(rng, count, test_symbols, otc)
    price = np.array([row.price for row in rows])
    derived = np.array([row.kind in ("WARRANT", "RIGHT", "UNIT", "PFD") or row in TEST_SYMBOLS for row in rows])
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
    is_fund = np.array([row.kind == "ETF" for row in rows])
    is_new, renamed = np.zeros(count, dtype=np.bool_), {}
    if count >= WHOLE_MARKET:
        renamed = _renamed(rng, rows)
        may = np.array([slot >= 60 and row.kind == "CS" and slot not in renamed for slot, row in enumerate(rows)])
        is_new[rng.choice(np.flatnonzero(may), count // WHOLE_MARKET, replace=False)] = True
    free_float[derived | is_new] = -1.0
    return Universe(
        tickers=tuple(row.ticker for row in rows),
        names=tuple(row.name for row in rows),
        markets=tuple(row.market for row in rows),
        kinds=tuple(row.kind for row in rows),
        slot={row.ticker: slot for slot, row in enumerate(rows)},
        tape=np.array([_TAPE_OF_MARKET[row.market] for row in rows]),
        weight=weight / weight.sum(),
        price=price,
        volatility=np.where(small_float, 0.09, 0.014 * np.clip(40 / price, 1, 4) ** 0.5),
        mean_size=np.clip(2500 / price, 0.1, 400),
        small_float=small_float,
        has_ratios=~is_fund & ~derived & ~is_new & ((rng.random(count) > 0.12) | (rank < 5)),
        free_float=free_float,
        shares=shares.round(),
        otc=np.array([row.market == "OTC" for row in rows]),
        is_new=is_new,
        renamed=renamed,
    )
