"""How late a feed is, from its newest event and the market's time."""

import pytest

from app import clock
from producers.lateness import FRESH_S, Lateness

NOW_MS = 1_795_186_800_000


class Server:
    """The vendor's clock."""

    async def server_ms(self) -> int:
        return NOW_MS


@pytest.mark.parametrize(
    ("event", "lag_s", "late"),
    [
        (b'{"ev":"A","s":1795186798000,"e":1795186799000}', 1.0, False),
        (b'{"ev":"T","t":1795185900000}', 900.0, True),
        (b'{"ev":"LULD","t":1795185900000000000}', 900.0, True),
        (b'{"ev":"T","t":1795186801000}', 0.0, False),
        (b'{"ev":"T"}', None, None),
        (b"not json", None, None),
    ],
)
async def test_the_lag_is_the_markets_time_less_the_newest_events(
    event: bytes, lag_s: float | None, late: bool | None
) -> None:
    lateness = Lateness(Server())  # type: ignore[arg-type] # of it one method is asked
    lateness.note(event, clock.wall_s())
    await lateness.look()
    assert (lateness.lag_s, lateness.late) == (lag_s, late)
    lateness.forget()
    assert lateness.late is None


async def test_an_event_of_long_ago_says_nothing_of_now() -> None:
    """In a quiet minute the newest event is old, and the feed is not late."""
    lateness = Lateness(Server())  # type: ignore[arg-type] # as above
    lateness.note(b'{"ev":"T","t":1795185900000}', clock.wall_s() - FRESH_S - 1)
    await lateness.look()
    assert lateness.late is None
