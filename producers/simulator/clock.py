"""The simulated market's clock: epoch milliseconds that run `speed` times as fast as the wall's."""

from collections.abc import Callable

from app import clock


class VirtualClock:
    """Market time from an interval clock (seconds); it can pause, jump, and be held back.

    Being held back is how a simulator that cannot keep up stays consistent: its time slows down.
    """

    def __init__(self, start_ms: int, speed: float, monotonic_s: Callable[[], float] = clock.monotonic_s) -> None:
        if speed <= 0:
            raise ValueError(f"expected a speed above 0, was {speed}")
        self.speed = speed
        self._monotonic_s = monotonic_s
        self._anchor_ms = float(start_ms)
        self._anchor_s = monotonic_s()
        self._paused = False

    @property
    def paused(self) -> bool:
        """Whether time stands still."""
        return self._paused

    def now_ms(self) -> int:
        """Market time in epoch ms."""
        if self._paused:
            return int(self._anchor_ms)
        return int(self._anchor_ms + (self._monotonic_s() - self._anchor_s) * self.speed * 1000)

    def jump(self, to_ms: int) -> None:
        """Make it `to_ms` now: over a closed night, or back to what was worked off."""
        self._anchor_ms, self._anchor_s = float(to_ms), self._monotonic_s()

    def pause(self) -> None:
        """Let time stand still until `resume`."""
        if not self._paused:
            self.jump(self.now_ms())
            self._paused = True

    def resume(self) -> None:
        """Let time run on from where it paused."""
        if self._paused:
            self._paused = False
            self.jump(int(self._anchor_ms))
