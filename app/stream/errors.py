"""What the engine raises on purpose, as one tree of its own.

EngineError
├── StalledError         no progress for too long
├── ForeignWriteError    another writer appended to a changelog partition that this worker owns
├── SkippedRecordsError  records of a source were passed over
├── UnreadableRowError   a changelog holds a row that `decode` does not take
└── OversizedError       one record is too large for a record batch
"""


class EngineError(Exception):
    """Base of the engine's errors; its text says what to do next."""


class StalledError(EngineError):
    """Nothing was processed for too long although there is something to process."""


class ForeignWriteError(EngineError):
    """Another process appended to a changelog partition that this worker owns."""


class SkippedRecordsError(EngineError):
    """Records of a source were passed over: this worker must read them again."""


class UnreadableRowError(EngineError):
    """A row of a changelog cannot be read by this version."""


class OversizedError(EngineError):
    """One record alone is larger than a record batch takes."""
