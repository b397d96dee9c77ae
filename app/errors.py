"""What can go wrong, as one tree. The engine has its own (`app.stream.errors`): those end a worker, by their text.

TapereaderError
├── SettingsError        a setting is wrong: names the setting, its value, what is allowed
├── StartupError         a part could not be started: port taken, download missing, disk full
├── TopicMismatch        a topic on the broker is not as declared
├── TopicsTaken          the topics are those of another platform
├── StalledError         no progress for too long: the process ends so that it is restarted
 ├── GatewayFailed        a background task of the gateway failed: the process ends so that it is restarted
├── RestError            a request to the vendor's REST failed: kind, status, when to try again
├── StoreDown            Redis cannot be reached now
└── FeedError            the vendor's feed
    ├── Evicted          another connection of the account took this one's place
    └── LoginRefused     the vendor refused the key: retrying does not help
        └── NoRealTimeData   the key's plan has late data only
"""

from typing import Final

import msgspec

#: What a text raises that is no JSON of the wanted shape; the last of them, one that is nested thousands deep.
UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

#: A process that ends with it would end the same way again: whoever started it need not start it anew
#: (EX_NOPERM of sysexits.h).
LASTING_EXIT_CODE = 77


class TapereaderError(Exception):
    """Base of every error that Tapereader raises on purpose; its text says what to do next.

    `exit_code` is that of a command which ends by it.
    """

    exit_code = 1


class SettingsError(TapereaderError):
    """A setting is wrong."""


class StartupError(TapereaderError):
    """A part of the platform could not be started."""


class TopicMismatch(TapereaderError):
    """A topic on the broker is not as `app.kafka.topics` declares it."""


class TopicsTaken(TapereaderError):
    """The topics on the broker are those of another platform."""


class StalledError(TapereaderError):
    """Nothing was processed for too long although there is something to process."""


class GatewayFailed(TapereaderError):
    """A background task of the gateway failed for good: what it holds cannot be relied on."""


class FeedError(TapereaderError):
    """The vendor's feed failed."""


class Evicted(FeedError):
    """The account has too many connections, and the vendor closed this one."""


class LoginRefused(FeedError):
    """The vendor refused the API key."""

    exit_code = LASTING_EXIT_CODE


class NoLiveData(LoginRefused):
    """The key's plan has no WebSocket at all."""


class NoRealTimeData(LoginRefused):
    """The key's plan has late data only, and the feed is the real-time one."""


class RestError(TapereaderError):
    """A request to the vendor's REST failed.

    `kind` is one of `timeout`, `network`, `http`, `garbage`, `limit`, `breaker`, `no_key`, `plan`; `status` the
    HTTP status where there is one; `retry_after_s` what the vendor asked to wait.
    """

    def __init__(self, kind: str, text: str, *, status: int | None = None, retry_after_s: float | None = None) -> None:
        super().__init__(text)
        self.kind, self.status, self.retry_after_s = kind, status, retry_after_s

    @property
    def passing(self) -> bool:
        """Whether the same request may succeed a moment later."""
        if self.kind == "http":
            return self.status == 429 or (self.status is not None and self.status >= 500)
        return self.kind in ("timeout", "network")

    @property
    def reason(self) -> str:
        """The failure in one word: `timeout`, `http_500`, …"""
        return f"http_{self.status}" if self.kind == "http" else self.kind


class StoreDown(TapereaderError):
    """Redis cannot be reached now; it is tried again by itself."""
