"""What a print counts for: its sale conditions say whether it is of the volume, sets high and low, or the last price.

The vendor's rule: of several conditions each must allow it ("any no wins"). A condition that the table does not
name forbids nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Final

from msgspec import Struct

from app.market.calendar import Session, TradingCalendar


class Counts:
    """What a print counts for, as bits; plain numbers, since an enumeration's cost a microsecond for each print.

    `VOLUME`: shares, number of trades, sizes and pace. `HIGH_LOW`: the high and low of bars. `LAST`: open, close and
    the last price. `QUOTED`: its price was made by the quote of its moment, so that it was on a side of it.
    """

    VOLUME: Final = 1
    HIGH_LOW: Final = 2
    LAST: Final = 4
    QUOTED: Final = 8
    #: What an ordinary print counts for.
    ALL: Final = 15


#: Form T marks prints outside of the regular session; there it forbids nothing, as the vendor's own bars have it.
FORM_T: Final = 12


class Condition(Struct, frozen=True):
    """A sale condition by its name at the vendor, and what it allows a print to count for."""

    name: str
    volume: bool = True
    high_low: bool = True
    last: bool = True
    quoted: bool = True

    @property
    def counts(self) -> int:
        """As `Counts`."""
        return (
            self.volume * Counts.VOLUME
            | self.high_low * Counts.HIGH_LOW
            | self.last * Counts.LAST
            | self.quoted * Counts.QUOTED
        )


def _volume_only(name: str, *, quoted: bool = False) -> Condition:
    return Condition(name, high_low=False, last=False, quoted=quoted)


def _not_last(name: str) -> Condition:
    return Condition(name, last=False, quoted=False)


def _of_an_auction(name: str) -> Condition:
    return Condition(name, quoted=False)


#: The table for the start, until the vendor's own is there (`/v3/reference/conditions`, `update_rules.consolidated`).
BUILT_IN: Final[Mapping[int, Condition]] = {
    0: Condition("Regular Sale"),
    1: Condition("Acquisition"),
    2: _volume_only("Average Price Trade"),
    3: Condition("Automatic Execution"),
    4: Condition("Bunched Trade"),
    5: _not_last("Bunched Sold Trade"),
    7: _volume_only("Cash Sale"),
    8: _of_an_auction("Closing Prints"),
    9: _of_an_auction("Cross Trade"),
    10: _not_last("Derivatively Priced"),
    11: Condition("Distribution"),
    12: _volume_only("Form T", quoted=True),
    13: _volume_only("Extended Trading Hours (Sold Out of Sequence)"),
    14: Condition("Intermarket Sweep"),
    15: Condition("Market Center Official Close", volume=False, high_low=False, last=False, quoted=False),
    16: Condition("Market Center Official Open", volume=False, high_low=False, last=False, quoted=False),
    17: _of_an_auction("Market Center Opening Trade"),
    18: _of_an_auction("Market Center Reopening Trade"),
    19: _of_an_auction("Market Center Closing Trade"),
    20: _volume_only("Next Day"),
    21: _volume_only("Price Variation Trade"),
    22: _not_last("Prior Reference Price"),
    23: Condition("Rule 155 Trade (AMEX)"),
    25: _of_an_auction("Opening Prints"),
    27: Condition("Stopped Stock (Regular Trade)"),
    28: _of_an_auction("Re-Opening Prints"),
    29: _not_last("Seller"),
    30: Condition("Sold Last"),
    33: _not_last("Sold (Out of Sequence)"),
    34: Condition("Split Trade"),
    36: Condition("Yellow Flag Regular Trade"),
    37: _volume_only("Odd Lot Trade", quoted=True),
    38: Condition("Corrected Consolidated Close (per listing market)", volume=False, quoted=False),
    41: Condition("Trade Thru Exempt"),
    52: _volume_only("Contingent Trade"),
    53: _volume_only("Qualified Contingent Trade (QCT)"),
    55: _of_an_auction("Opening Reopening Trade Detail"),
}


class Rules(Struct, frozen=True):
    """What the vendor says of a condition: its name, and the figures of the consolidated tape that it updates."""

    id: int
    name: str
    volume: bool
    high_low: bool
    open_close: bool


def with_rules(rules: Iterable[Rules]) -> dict[int, Condition]:
    """The built-in table with the vendor's rules in it.

    The vendor does not say whether the quote of the moment made the price: of conditions that are not built in it did
    where they set the last price.
    """
    table = dict(BUILT_IN)
    for rule in rules:
        before = BUILT_IN.get(rule.id)
        quoted = rule.open_close if before is None else before.quoted
        table[rule.id] = Condition(rule.name, rule.volume, rule.high_low, rule.open_close, quoted)
    return table


class ConditionTable:
    """Which prints count for what, asked for every print: the answer for each set of conditions is kept.

    A print's answer is kept with it, so that another table changes nothing about the prints of before.
    """

    def __init__(self, conditions: Mapping[int, Condition] = BUILT_IN, calendar: TradingCalendar | None = None) -> None:
        self.conditions = conditions
        self._calendar = calendar
        #: By a print's conditions: what it counts for with a price, where the session makes no difference.
        self.fixed: dict[tuple[int, ...], int] = {(): Counts.ALL}
        #: The others: what it counts for in the regular session, and outside of it.
        self._by_session: dict[tuple[int, ...], tuple[int, int]] = {}

    def replace(self, conditions: Mapping[int, Condition]) -> None:
        """Go by another table from now on."""
        if conditions != self.conditions:
            self.conditions = conditions
            self.fixed = {(): Counts.ALL}
            self._by_session = {}

    def counts(self, conditions: tuple[int, ...], price: float | None, at_ms: int | None) -> int:
        """What a print counts for (`Counts`); without a price, for volume at most."""
        found = self.fixed.get(conditions)
        if found is None:
            regular, extended = self._by_session.get(conditions) or self._learn(conditions)
            found = regular if regular == extended or self._is_regular(at_ms) else extended
        return found if price else found & Counts.VOLUME

    def names(self, conditions: Iterable[int]) -> tuple[str, ...]:
        """The names of conditions; of one that is not known, its number."""
        return tuple(
            found.name if (found := self.conditions.get(code)) is not None else f"condition {code}"
            for code in conditions
        )

    def _learn(self, conditions: tuple[int, ...]) -> tuple[int, int]:
        known = (self._all_of(conditions), self._all_of([code for code in conditions if code != FORM_T]))
        # What is sent decides how many there are: a broken feed must not fill the memory.
        if len(self.fixed) + len(self._by_session) < _MOST_KNOWN:
            if known[0] == known[1]:
                self.fixed[conditions] = known[0]
            else:
                self._by_session[conditions] = known
        return known

    def _all_of(self, conditions: Sequence[int]) -> int:
        found: int = Counts.ALL
        for code in conditions:
            condition = self.conditions.get(code)
            if condition is not None:
                found &= condition.counts
        return found

    def _is_regular(self, at_ms: int | None) -> bool:
        if self._calendar is None:
            self._calendar = _new_york()
        try:
            return at_ms is not None and self._calendar.session_of(at_ms) is Session.REGULAR
        except ValueError:
            return True


@cache
def _new_york() -> TradingCalendar:
    """One for all tables, and only once a print needs it: making one takes 0.1 s."""
    return TradingCalendar()


#: The tape has a few hundred combinations of conditions.
_MOST_KNOWN: Final = 10_000
