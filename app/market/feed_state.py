"""What is known of the vendor's feed: whether it is there, what it gives, and how late."""

from enum import StrEnum
from typing import Final

from msgspec import Struct

#: The one key of the topic.
KEY: Final = "feed"

#: An event that lags its receipt by more than this is of a late feed: the vendor's is late by 15 minutes, its
#: real-time one by less than a second.
LATE_S: Final = 60.0


class ChannelAnswer(StrEnum):
    """What the vendor said to a subscription."""

    ACKNOWLEDGED = "acknowledged"
    REFUSED = "refused"
    UNANSWERED = "unanswered"


class FeedState(Struct, frozen=True):
    """The record of `market.feed`: what the producer last knew of the vendor's feed.

    `host` is the feed's address. `channels` has the vendor's answer to each subscription; a refused one is not in
    the plan. `late` is true where events lag their receipt by more than a minute, null before that is known.
    `evictions` counts the times that another connection of the account took this one's place since the
    producer's start. `problem` is why there is no connection, in words; null: there is one. `at_ms` is epoch ms.
    """

    at_ms: int
    connected: bool
    host: str
    channels: dict[str, ChannelAnswer]
    late: bool | None = None
    evictions: int = 0
    problem: str | None = None
