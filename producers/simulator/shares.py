"""Numbers of shares with their fractions: millionths, so that sums are exact; told as the vendor tells them."""

from typing import Final

from producers.simulator.symbols import Ints

#: Millionths in a share: the vendor's decimals have six places.
SHARE: Final = 1_000_000


def decimal(size: int) -> str:
    """Millionths of a share as on the wire: `4989.0`, `0.007300`."""
    whole, part = divmod(size, SHARE)
    return f"{whole}.{part:06d}" if part else f"{whole}.0"


#: Most prints are of few whole shares.
_KNOWN: Final = {number * SHARE: f"{number}.0" for number in range(2001)}
_WHOLE: Final = "0" * 6


def decimals(sizes: Ints) -> list[str]:
    """As `decimal`, of each: cut from the digits of the whole number, which takes a third of formatting the parts."""
    known = _KNOWN.get
    return [
        known(size)
        or (
            f"0.{str(size + SHARE)[1:]}"
            if size < SHARE
            else f"{text[:-6]}.{text[-6:]}"
            if (text := str(size))[-6:] != _WHOLE
            else f"{text[:-6]}.0"
        )
        for size in sizes.tolist()
    ]
