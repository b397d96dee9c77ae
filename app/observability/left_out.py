"""What this process left out of its tables as late, by topic. What it refused is counted with the dead letters."""

from collections import Counter
from typing import Final

#: Events that were older than what their row has, by topic.
counts: Final[Counter[str]] = Counter()


def late(topic: str, events: int) -> None:
    """Count events of a topic that came too late."""
    if events:
        counts[topic] += events
