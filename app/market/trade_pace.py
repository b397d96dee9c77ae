"""How many trades a minute are usual for a symbol."""

#: The mean is over this many minutes at first; from then on each new minute counts by its reciprocal.
USUAL_MINUTES = 30
#: A mean of fewer minutes than these tells nothing.
LEAST_MINUTES = 5
MINUTE_MS = 60_000


class Pace:
    """Trades of the running minute, and the mean of the completed ones since a window began.

    Minutes are those of the event time (epoch minutes). A trade counts in the newest minute that was
    seen, late ones and those without a time too. The first minute, which is cut, is left out of the mean.
    """

    __slots__ = ("count", "mean", "minute", "minutes")

    def __init__(self, minute: int = 0, count: int = 0, minutes: int = -1, mean: float = 0.0) -> None:
        self.minute, self.count, self.minutes, self.mean = minute, count, minutes, mean

    def add(self, at_ms: int) -> None:
        """Count a trade (0: without a time)."""
        minute = at_ms // MINUTE_MS
        if minute > self.minute:
            self._roll(minute)
        self.count += 1

    def usual(self) -> float | None:
        """Trades in a usual minute, None while too few minutes are known."""
        return self.mean if self.minutes >= LEAST_MINUTES else None

    def state(self) -> tuple[int, int, int, float]:
        """What the constructor takes."""
        return self.minute, self.count, self.minutes, self.mean

    def _roll(self, minute: int) -> None:
        if self.minute == 0:
            # Trades without a time before the first one with one are of its minute.
            self.minute = minute
            return
        counts = [self.count] + [0] * (minute - self.minute - 1)
        for count in counts:
            self.minutes += 1
            if self.minutes:
                self.mean += (count - self.mean) / min(self.minutes, USUAL_MINUTES)
        self.minute, self.count = minute, 0
