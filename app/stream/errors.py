"""What the engine raises on purpose, as one tree of its own.

EngineError
├── StalledError         no progress for too long
├── ForeignWriteError    a writer that is not of this app appended to a changelog partition that this worker owns
├── ForeignOwnerError    a table is another app's
├── SkippedRecordsError  records of a source or changelog were passed over
├── UnreadableRowError   a changelog holds a row or a record batch that cannot be read
├── MissingStateError    an assigned partition has no state
└── OversizedError       one record is too large for a record batch
"""


class EngineError(Exception):
    """Base of the engine's errors; its text says what to do next."""


class StalledError(EngineError):
    """Nothing was processed for too long although there is something to process."""


class ForeignWriteError(EngineError):
    """Another process appended to a changelog partition that this worker owns."""


class ForeignOwnerError(EngineError):
    """Another app's workers own a table: this worker has written nothing, and ends."""


class SkippedRecordsError(EngineError):
    """Records were passed over: this worker must read them again."""


class UnreadableRowError(EngineError):
    """A changelog cannot be read by this version, or is damaged."""


class MissingStateError(EngineError):
    """A partition is assigned to this worker and its rows were never read back."""


class OversizedError(EngineError):
    """One record alone is larger than a record batch takes."""
