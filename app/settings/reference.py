"""Reference data: the market data cache and Massive's REST."""

from pathlib import Path

from pydantic import BaseModel, Field, SecretStr


class ReferenceSettings(BaseModel):
    """Reference data: the market data cache and Massive's REST."""

    cache_snapshot_ttl_s: float = Field(28_800, gt=0, description="A ticker snapshot is kept in Redis this long.")
    cache_avg_volume_ttl_s: float = Field(43_200, gt=0, description="An average volume is kept in Redis this long.")
    cache_free_float_ttl_s: float = Field(43_200, gt=0, description="A free float is kept in Redis this long.")
    cache_missing_ttl_s: float = Field(
        21_600, gt=0, description="What the vendor does not have is not asked again for."
    )
    cache_error_ttl_s: float = Field(60.0, gt=0, description="After a failed request the next one waits this long.")
    cache_lock_ttl_s: float = Field(30.0, gt=0, description="Lock of a request in flight; renewed while it runs.")
    cache_stale_ttl_s: float = Field(604_800, gt=0, description="A value is kept this long for when REST is down.")
    cache_refresh_fraction: float = Field(
        0.1, ge=0, lt=1, description="In this last part of its life a value is refreshed in the background; 0: never."
    )
    cache_memory_entries: int = Field(40_000, ge=0, description="Values kept in each process; 0: none.")
    cache_memory_ttl_s: float = Field(30.0, gt=0, description="A value in a process is good for this long.")
    cache_compress_bytes: int = Field(2048, ge=0, description="Values from this size on are compressed; 0: none.")
    cache_encryption_key: SecretStr | None = Field(
        None, description="Fernet keys, comma-separated, the first one encrypts; unset: values are not encrypted."
    )
    cache_encryption_key_file: Path | None = Field(None, description="File that holds the Fernet keys.")
    redis_timeout_s: float = Field(1.0, gt=0, description="A Redis command that takes longer has failed.")
    rest_requests_per_s: float = Field(50.0, gt=0, description="Requests to Massive's REST, all processes of a key.")
    rest_burst: int = Field(10, ge=1, description="Requests that may follow each other at once within the rate.")
    rest_concurrency: int = Field(16, ge=1, le=1000, description="Requests in flight, all processes of a key.")
    rest_queue_s: float = Field(300.0, gt=0, description="A request that finds no room for this long has failed.")
    rest_timeout_s: float = Field(10.0, gt=0, description="Time-out of one request to Massive's REST.")
    rest_attempts: int = Field(3, ge=1, le=20, description="Tries of a request on 429, 5xx and time-outs.")
    rest_backoff_s: float = Field(0.2, ge=0, description="Pause before the second try; doubles, with jitter.")
    rest_retry_after_max_s: float = Field(60.0, ge=0, description="The longest Retry-After that is honoured.")
    rest_breaker_failures: int = Field(10, ge=1, description="So many failures in a row stop requests for a while.")
    rest_breaker_open_s: float = Field(15.0, gt=0, description="Requests stay stopped this long.")
