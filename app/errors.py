"""What can go wrong, as one tree.

TapereaderError
├── SettingsError        a setting is wrong: names the setting, its value, what is allowed
├── StartupError         a part could not be started: port taken, download missing, disk full
├── TopicMismatch        a topic on the broker is not as declared
├── StalledError         no progress for too long: the process ends so that it is restarted
├── ForeignWriteError    another writer appended to a changelog partition that we own
├── OversizedError       one record is too large for its topic
└── FeedError            the vendor's feed
    └── LoginRefused     the vendor refused the key: retrying does not help
"""


class TapereaderError(Exception):
    """Base of every error that Tapereader raises on purpose; its text says what to do next."""


class SettingsError(TapereaderError):
    """A setting is wrong."""


class StartupError(TapereaderError):
    """A part of the platform could not be started."""


class TopicMismatch(TapereaderError):
    """A topic on the broker is not as `app.topics` declares it."""


class StalledError(TapereaderError):
    """Nothing was processed for too long although there is something to process."""


class ForeignWriteError(TapereaderError):
    """Another process appended to a changelog partition that this worker owns."""


class OversizedError(TapereaderError):
    """One record alone is larger than its topic takes."""


class FeedError(TapereaderError):
    """The vendor's feed failed."""


class LoginRefused(FeedError):
    """The vendor refused the API key."""
