"""A symbol's price bands (LULD) and whether it is halted."""

from collections.abc import Mapping

from msgspec import Struct

from app.market.events import LimitUpLimitDown, epoch_ms


class HaltCodes(Struct, frozen=True):
    """What the vendor's indicator codes mean: code -> why trading halts, and codes of a resumption.

    The vendor's public documents do not list the codes (its conditions endpoint does, to those who
    have a key), so none is assumed: without codes the bands are kept and nothing counts as a halt.
    """

    halting: Mapping[int, str] = {}
    resuming: frozenset[int] = frozenset()


class HaltState(Struct, frozen=True, gc=False):
    """The last bands of a symbol in US dollars and its last halt; all times in epoch ms.

    `halted_since` is None while the symbol trades; `reason` and `resumed_at` are of the last halt.
    """

    symbol: str
    upper_band: float | None
    lower_band: float | None
    indicators: tuple[int, ...]
    timestamp: int
    sequence_number: int
    halted_since: int | None = None
    reason: str | None = None
    resumed_at: int | None = None


def fold_halt(state: HaltState | None, event: LimitUpLimitDown, codes: HaltCodes) -> HaltState | None:
    """The state after an event, or None when it is older (time, then sequence) and left out.

    A missing band stays as it was. An event without a code of either kind changes no halt.
    Raises `ValueError`: no symbol, no time, or another symbol.
    """
    symbol = event.symbol
    if not symbol:
        raise ValueError("expected a LULD event with a symbol (`T`), was without")
    if event.timestamp is None:
        raise ValueError(f"expected a time (`t`) in the LULD event of {symbol}, was without")
    at_ms, sequence = epoch_ms(event.timestamp), event.sequence_number or 0
    upper, lower, since, reason, resumed = event.upper_band, event.lower_band, None, None, None
    if state is not None:
        if state.symbol != symbol:
            raise ValueError(f"expected a LULD event of {state.symbol}, was one of {symbol}")
        if (at_ms, sequence) < (state.timestamp, state.sequence_number):
            return None
        upper = state.upper_band if upper is None else upper
        lower = state.lower_band if lower is None else lower
        since, reason, resumed = state.halted_since, state.reason, state.resumed_at
    indicators = tuple(event.indicators or ())
    why = next((codes.halting[code] for code in indicators if code in codes.halting), None)
    if why is not None:
        since, reason, resumed = (at_ms if since is None else since), why, None
    elif since is not None and not codes.resuming.isdisjoint(indicators):
        since, resumed = None, at_ms
    return HaltState(symbol, upper, lower, indicators, at_ms, sequence, since, reason, resumed)
