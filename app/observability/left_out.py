"""What came too late: events left out of the tables by topic, bars that counted by kind.

What was refused is counted with the dead letters.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

#: Events that were older than what their row has, by topic.
counts: Final[Counter[str]] = Counter()

#: Bars that came late or once more and counted, by kind.
bars: Final[Counter[str]] = Counter()


def late(topic: str, events: int) -> None:
    """Count events of a topic that came too late."""
    if events:
        counts[topic] += events


def late_bars(kinds: Mapping[Any, int]) -> None:
    """Count bars that came late or once more, by kind, a string."""
    if kinds:
        bars.update({str(kind): number for kind, number in kinds.items()})
