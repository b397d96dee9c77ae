"""Splits of shares: what was known before the day of a split, in shares of after it.

The vendor's previous day is not adjusted on the day of a split: in its own sample a reverse split of 20 to 1
reads as a change of 1849 per cent (true: -2.5). Prices are divided and volumes multiplied by the same ratio.
"""

from collections.abc import Iterable, Mapping

from msgspec import Struct, structs

from app.market.events import PreviousDay, Reference


class Split(Struct, frozen=True):
    """A split of a symbol's shares on a day (ISO date): of `split_from` shares `split_to` were made."""

    ticker: str
    execution_date: str
    split_from: float
    split_to: float

    @property
    def factor(self) -> float:
        """New shares for one old share; 0.05 in a reverse split of 20 to 1."""
        return self.split_to / self.split_from

    @property
    def text(self) -> str:
        """As traders write it: old shares, a colon, new shares ("20:1" is a reverse split)."""
        return f"{self.split_from:g}:{self.split_to:g}"


def is_sound(split: Split) -> bool:
    """Whether both numbers of a split are above 0: others say nothing."""
    return split.split_from > 0 and split.split_to > 0


def mean_volume(volumes: Mapping[str, float], splits: Iterable[Split], before: str) -> float | None:
    """The mean of volumes by day (ISO date, shares of the day), in the shares of the day before `before`.

    None: there is no volume. A split of `before` itself is not in it: who adjusts by the day's split does that.
    """
    past = [split for split in splits if split.execution_date < before]
    total = 0.0
    for day, volume in volumes.items():
        for split in past:
            if split.execution_date > day:
                volume *= split.factor
        total += volume
    return total / len(volumes) if volumes and total > 0 else None


def adjusted(reference: Reference, split: Split) -> Reference:
    """Reference data of before a split in shares of after it; the row can say which split it was."""
    factor = split.factor
    return structs.replace(
        reference,
        previous_day=None if reference.previous_day is None else _adjusted_day(reference.previous_day, factor),
        avg_volume=None if reference.avg_volume is None else reference.avg_volume * factor,
        free_float=None if reference.free_float is None else reference.free_float * factor,
        split=split.text,
    )


def _adjusted_day(day: PreviousDay, factor: float) -> PreviousDay:
    def price(value: float | None) -> float | None:
        return None if value is None else value / factor

    return PreviousDay(
        close=price(day.close),
        open=price(day.open),
        high=price(day.high),
        low=price(day.low),
        volume=None if day.volume is None else day.volume * factor,
        vwap=price(day.vwap),
    )
