"""Every setting, once: environment variable, type, default and meaning.

Each field is read from `TAPEREADER_<NAME>`; the few that have a name of their own in the field
(`KAFKA_BOOTSTRAP_SERVERS`, `REDIS_URL`, `MASSIVE_API_KEY`) are read from that as well. Command
line switches override the environment.
"""

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app.errors import SettingsError

PREFIX = "TAPEREADER_"


class Source(StrEnum):
    """Where events come from."""

    MASSIVE = "massive"
    SIMULATOR = "simulator"
    NONE = "none"


def _named(name: str, *others: str) -> AliasChoices:
    return AliasChoices(name, f"{PREFIX}{name.upper()}", *others)


class Settings(BaseSettings):
    """The platform's settings; frozen, validated when it is made.

    Raises `SettingsError` through `Settings.load` when a value is wrong, naming the setting.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="forbid", populate_by_name=True, hide_input_in_errors=False
    )

    # One machine
    data_dir: Path = Field(Path(".tapereader"), description="Directory of Kafka's and Redis's data and of the logs.")
    kafka_port: int = Field(19092, ge=1, le=65535, description="Port of the Kafka that `up` starts.")
    redis_port: int = Field(16379, ge=1, le=65535, description="Port of the Redis that `up` starts.")
    http_host: str = Field("127.0.0.1", description="Address that the gateway listens on.")
    http_port: int = Field(8000, ge=1, le=65535, description="Port of the gateway: page, REST and WebSocket.")
    control_port: int = Field(4200, ge=1, le=65535, description="Port of the producer's HTTP control.")
    simulator_port: int = Field(18080, ge=1, le=65535, description="Port of the simulator: WebSocket and REST.")
    workers: int = Field(1, ge=1, le=64, description="Number of worker processes that `up` starts.")
    browser: bool = Field(True, description="Open the page in a browser when `up` is ready.")

    # Kafka and Redis
    kafka_bootstrap_servers: str | None = Field(
        None,
        validation_alias=_named("kafka_bootstrap_servers", "KAFKA_BOOTSTRAP_SERVERS"),
        description="A Kafka of your own, `host:port,host:port`; unset: `up` starts one.",
    )
    redis_url: str | None = Field(
        None,
        validation_alias=_named("redis_url", "REDIS_URL"),
        description="A Redis of your own; unset: `up` starts one.",
    )
    partitions: int = Field(8, ge=1, le=512, description="Partitions of every topic; cannot be lowered later.")
    replication_factor: int = Field(1, ge=1, le=9, description="Replicas of every topic.")
    app_id: str = Field("tapereader", min_length=1, description="Consumer group of the workers.")
    publish_interval_ms: int = Field(
        1000, ge=250, le=60_000, description="Least time between two publications of a board."
    )
    session_timeout_ms: int = Field(
        6000, ge=1000, le=300_000, description="A worker that is silent this long has lost its partitions."
    )
    stall_timeout_s: float = Field(
        60.0, gt=0, description="A worker with lag and no progress for this long ends, to be restarted."
    )

    # The source of events
    source: Source = Field(Source.SIMULATOR, description="`massive` (needs a key), `simulator`, or `none`.")
    massive_api_key: SecretStr | None = Field(
        None,
        validation_alias=_named("massive_api_key", "MASSIVE_API_KEY", "POLYGON_API_KEY"),
        description="Massive's API key.",
    )
    massive_api_key_file: Path | None = Field(None, description="File that holds the key, where no variable does.")
    massive_feed: str = Field("socket.massive.com", description="Host of the WebSocket feed, without scheme.")
    massive_market: str = Field("stocks", description="Market of the feed.")
    massive_rest_url: str = Field("https://api.massive.com", description="Base URL of the REST API.")
    massive_secure: bool = Field(True, description="Use TLS on the WebSocket.")
    subscriptions: Annotated[tuple[str, ...], NoDecode] = Field(
        ("A.*", "T.*", "Q.*", "LULD.*"), description="Channels to subscribe to, comma-separated."
    )
    market_poll_s: float = Field(60.0, gt=0, description="While the market is closed, ask for its status this often.")
    silence_timeout_s: float = Field(30.0, gt=0, description="A connection without an event for this long is replaced.")
    producer_buffer_events: int = Field(500_000, ge=1000, description="Events held while Kafka is slow.")

    # The simulator
    symbols: int = Field(500, ge=1, le=12_000, description="Symbols in the simulated market.")
    seed: int = Field(1, description="Seed of the simulated market.")
    speed: float = Field(1.0, gt=0, le=3600, description="Speed of the simulated market's clock.")
    market_start: str = Field(
        "09:25", pattern=r"^\d\d:\d\d$", description="Time of day (ET) at which the simulated market starts."
    )
    events_per_s: float = Field(2000.0, gt=0, description="Mean rate of simulated events in the regular session.")

    # The gateway
    gateway_api_key: SecretStr | None = Field(None, description="Key that clients of the gateway must send; unset: open.")
    gateway_open: bool = Field(False, description="Let the gateway be open to a network, without a key.")
    gateway_max_clients: int = Field(2000, ge=1, description="WebSocket clients of one gateway process.")
    gateway_max_subscriptions: int = Field(500, ge=1, description="Subscriptions of one WebSocket client.")
    gateway_slow_client_s: float = Field(10.0, gt=0, description="A client that takes nothing for this long is closed.")

    # Telemetry
    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="Least level that is logged.")
    log_json: bool | None = Field(None, description="Log JSON; unset: readable at a terminal, JSON otherwise.")

    @field_validator("subscriptions", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @property
    def bootstrap_servers(self) -> str:
        """Kafka's address: yours, else that of the one that `up` starts."""
        return self.kafka_bootstrap_servers or f"127.0.0.1:{self.kafka_port}"

    @property
    def redis_address(self) -> str:
        """Redis's URL: yours, else that of the one that `up` starts."""
        return self.redis_url or f"redis://127.0.0.1:{self.redis_port}/0"

    def api_key(self) -> str | None:
        """The vendor's key from its variable, else from the secret file, else None."""
        if self.massive_api_key is not None:
            return self.massive_api_key.get_secret_value()
        if self.massive_api_key_file is not None:
            return self.massive_api_key_file.read_text(encoding="utf-8").strip()
        return None

    @classmethod
    def load(cls, **overrides: Any) -> Self:
        """Settings from the environment, with overrides that are not None on top.

        Raises `SettingsError`: a value is not allowed, or a `TAPEREADER_` variable is not known.
        """
        known = {f"{PREFIX}{name.upper()}" for name in cls.model_fields}
        unknown = sorted(name for name in os.environ if name.startswith(PREFIX) and name not in known)
        if unknown:
            raise SettingsError(f"{unknown[0]} is not a setting; `tapereader config doc` lists all of them")
        try:
            return cls(**{name: value for name, value in overrides.items() if value is not None})
        except ValidationError as error:
            first = error.errors()[0]
            name = str(first["loc"][0]).removeprefix(PREFIX).lower()
            shown = "(hidden)" if "key" in name else repr(first["input"])
            raise SettingsError(f"{PREFIX}{name.upper()} = {shown}: {first['msg']}") from None
