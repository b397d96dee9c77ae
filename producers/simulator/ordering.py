"""Order of columns whose numbers are small: numpy sorts 16 bits by radix, in a tenth of the time of 64."""

from typing import Final

import numpy as np

from producers.simulator.symbols import Ints

#: Slots of symbols and ms within a second are below it.
BELOW: Final = 1 << 16


def order_of(column: Ints) -> Ints:
    """The places of numbers from 0 to below `BELOW` in rising order, equal ones as they stand."""
    return np.argsort(column.astype(np.uint16), kind="stable")


def in_order(column: Ints) -> Ints:
    """Such numbers in rising order."""
    return np.sort(column.astype(np.uint16), kind="stable").astype(np.int64)
