"""Whether the offsets that a state covers are still those of its source topics."""

from collections.abc import Iterable, Mapping
from typing import Any

import structlog
from faust.types import TP

from app.stream.partition import PartitionState

log = structlog.get_logger(__name__)


def check_sources(
    state: PartitionState[Any], topics: Iterable[str], ends: Mapping[TP, int], ids: Mapping[str, str]
) -> None:
    """Set right what a state covers of topics that were made anew or cut short, and note the topics' ids.

    A topic with another id begins at 0, however long it is by now. One that ends before what is covered was cut
    short (a broker lost what it had acknowledged): the state keeps what it has counted, and goes on at the end.
    A state from before ids were kept takes a short topic for one made anew.
    """
    for topic in topics:
        covered, known, found = state.covered.get(topic), state.ids.get(topic), ids.get(topic)
        end = ends.get(TP(topic, state.partition))
        at = f"{topic}[{state.partition}]"
        if covered is not None:
            if known is not None and found is not None and known != found:
                log.warning("source_made_anew", at=at, covered=covered, id=found)
                state.covered[topic] = 0
            elif end is not None and end < covered and (known is None or found is None):
                log.warning("source_made_anew", at=at, covered=covered, end=end)
                state.covered[topic] = 0
            elif end is not None and end < covered:
                log.error("source_cut_short", at=at, covered=covered, end=end)
                state.covered[topic] = end
        if found is not None and known != found:
            state.ids = {**state.ids, topic: found}
