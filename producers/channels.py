"""What the vendor answered for each channel that was asked for.

It acknowledges a channel by name ("subscribed to: T.*"), refuses one by `error "not authorized"` without a name, and
says nothing to what it does not know. So the refused are known once as many refusals have come as names are left.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from app.market.feed_state import ChannelAnswer
from producers.routing import Status

_ACKNOWLEDGED: Final = re.compile(r"^subscribed to: (\S+)$")
_REFUSED: Final = "not authorized"


class ChannelAnswers:
    """The answers on one connection."""

    def __init__(self) -> None:
        self._answers: dict[str, ChannelAnswer] = {}
        self._refusals = 0

    def ask(self, channels: Iterable[str]) -> None:
        """Channels that are subscribed to now."""
        self._answers |= dict.fromkeys(channels, ChannelAnswer.UNANSWERED)

    def forget(self, channels: Iterable[str]) -> None:
        """Channels that are subscribed to no more."""
        for channel in channels:
            self._answers.pop(channel, None)

    def heed(self, status: Status) -> bool:
        """Take in a status of the feed; whether an answer is known now that was not."""
        named = _ACKNOWLEDGED.match(status.message) if status.status == "success" else None
        if named is not None and named[1] in self._answers:
            self._answers[named[1]] = ChannelAnswer.ACKNOWLEDGED
        elif status.status == "error" and status.message == _REFUSED:
            self._refusals += 1
        else:
            return False
        left = [name for name, answer in self._answers.items() if answer is ChannelAnswer.UNANSWERED]
        if self._refusals and self._refusals >= len(left):
            self._answers |= dict.fromkeys(left, ChannelAnswer.REFUSED)
            self._refusals = 0
        return True

    @property
    def by_channel(self) -> Mapping[str, ChannelAnswer]:
        """The answer for each channel, by its name."""
        return dict(sorted(self._answers.items()))

    @property
    def any_acknowledged(self) -> bool:
        """Whether data may come at all."""
        return ChannelAnswer.ACKNOWLEDGED in self._answers.values()

    @property
    def all_answered(self) -> bool:
        """Whether nothing is waited for."""
        return ChannelAnswer.UNANSWERED not in self._answers.values()
