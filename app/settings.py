"""Every setting, once: environment variable, type, default and meaning.

Each field is read from `TAPEREADER_<NAME>`; the few that have a name of their own in the field
(`KAFKA_BOOTSTRAP_SERVERS`, `REDIS_URL`, `MASSIVE_API_KEY`) are read from that as well. Command
line switches override the environment.
"""

import json
import os
import re
from collections.abc import Iterable
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app.errors import SettingsError
from app.market.halts import HaltCodes

PREFIX = "TAPEREADER_"

#: A channel: an event type of the vendor's stocks socket, a dot, a symbol or `*`. It ignores others in silence.
CHANNEL = re.compile(r"^(A|AM|T|Q|LULD|NOI|FMV|LV)\.(\*|[A-Za-z0-9.:/_-]+)$")


def wrong_channel(channels: Iterable[str]) -> str | None:
    """What is wrong with the first of some channels that is none; None: all are channels."""
    for channel in channels:
        if not CHANNEL.match(channel):
            return f"{channel!r} is not a channel: expected A, AM, T, Q, LULD, NOI, FMV or LV, a dot, a symbol or *"
    return None


def topic_prefix() -> str:
    """What the environment sets before the name of every topic.

    Topics are values that modules are made of, so that it has to be known before settings are loaded.
    `Settings` checks it.
    """
    return os.environ.get(f"{PREFIX}TOPIC_PREFIX", "")


def overnight_from() -> date | None:
    """The first trading day (trade date) that begins with a night session; None where nights are not traded.

    Agents hold a calendar from their import on, so that it has to be known before settings are loaded.
    What is no date counts as none here: `Settings` refuses it.
    """
    try:
        return date.fromisoformat(os.environ.get(f"{PREFIX}OVERNIGHT_FROM", "").strip())
    except ValueError:
        return None


#: Consumer group of a platform whose topics have no prefix.
APP_ID = "tapereader"


class Source(StrEnum):
    """Where events come from."""

    MASSIVE = "massive"
    SIMULATOR = "simulator"
    NONE = "none"


class Plan(StrEnum):
    """The vendor's individual stocks plans, smallest first; the simulated account has one of them."""

    BASIC = "basic"
    STARTER = "starter"
    DEVELOPER = "developer"
    ADVANCED = "advanced"


def _named(name: str, *others: str) -> AliasChoices:
    return AliasChoices(name, f"{PREFIX}{name.upper()}", *others)


#: The file in the directory of the Redis that `up` starts, which holds its password.
LOCAL_REDIS_PASSWORD_FILE = "password"


def local_redis_password(redis_dir: Path) -> str | None:
    """The password of the Redis that `up` starts; None where none was started in the directory, or it is another's."""
    try:
        return (redis_dir / LOCAL_REDIS_PASSWORD_FILE).read_text(encoding="ascii").strip() or None
    except (OSError, ValueError):
        return None


def local_redis_url(redis_dir: Path, port: int) -> str:
    """The URL of the Redis that `up` starts, its password in it."""
    password = local_redis_password(redis_dir)
    return f"redis://{'' if password is None else f':{password}@'}127.0.0.1:{port}/0"


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
    kafka_disk_mib: int = Field(
        4096, ge=512, description="Disk (MiB) that events in the Kafka that `up` starts may take; the oldest go first."
    )
    redis_port: int = Field(16379, ge=1, le=65535, description="Port of the Redis that `up` starts.")
    http_host: str = Field("127.0.0.1", description="Address that the gateway listens on.")
    http_port: int = Field(8000, ge=1, le=65535, description="Port of the gateway: page, REST and WebSocket.")
    control_port: int = Field(4200, ge=1, le=65535, description="Port of the producer's HTTP control.")
    simulator_port: int = Field(18080, ge=1, le=65535, description="Port of the simulator: WebSocket and REST.")
    simulator_host: str = Field(
        "127.0.0.1", description="Address that the simulator listens on, and where the others look for it."
    )
    workers: int = Field(1, ge=1, le=64, description="Number of worker processes that `up` starts.")
    gateways: int = Field(1, ge=1, le=64, description="Number of gateway processes that `up` starts on the one port.")
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
    min_insync_replicas: int = Field(
        1, ge=1, le=9, description="Replicas that must have a record before it counts; of topics that are made."
    )
    kafka_acks: Literal["all", "1"] = Field(
        "all", description="Whom the producer of raw events waits for: all in-sync replicas, or the leader alone."
    )
    kafka_wait_s: float = Field(
        0.0,
        ge=0,
        le=3600,
        description="A worker or a producer waits this long at its start for topics, a producer for Kafka too.",
    )
    kafka_client_id: str = Field("tapereader", min_length=1, description="What our clients are called at the broker.")
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="How a Kafka of your own is spoken to."
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] = Field(
        "PLAIN", description="How we log in where the protocol is one of SASL."
    )
    kafka_username: str | None = Field(None, description="User of PLAIN and SCRAM.")
    kafka_password: SecretStr | None = Field(None, description="Password of PLAIN and SCRAM.")
    kafka_password_file: Path | None = Field(None, description="File that holds the password.")
    kafka_tls_ca_file: Path | None = Field(None, description="Authorities to trust (PEM); unset: the system's.")
    kafka_tls_certificate_file: Path | None = Field(None, description="Our certificate (PEM), where one is asked for.")
    kafka_tls_key_file: Path | None = Field(None, description="Its key (PEM); unset: it is in the certificate's file.")
    kafka_tls_key_password: SecretStr | None = Field(None, description="Password of the key.")
    kafka_tls_check_hostname: bool = Field(True, description="Check that the certificate names the broker's host.")
    kafka_oauth_token_file: Path | None = Field(None, description="OAUTHBEARER: file with a token that is kept fresh.")
    kafka_oauth_token_url: str | None = Field(None, description="OAUTHBEARER: token endpoint (client credentials).")
    kafka_oauth_client_id: str | None = Field(None, description="OAUTHBEARER: our id at the token endpoint.")
    kafka_oauth_client_secret: SecretStr | None = Field(None, description="OAUTHBEARER: our secret there.")
    kafka_oauth_client_secret_file: Path | None = Field(None, description="File that holds that secret.")
    kafka_oauth_scope: str | None = Field(None, description="OAUTHBEARER: scope to ask for.")
    topic_prefix: str = Field(
        "",
        pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]{0,99})?$",
        description="Stands before the name of every topic, such as `staging.`: several platforms on one Kafka. "
        "From the environment only; cannot be changed later.",
    )
    app_id: str = Field(
        default_factory=lambda given: f"{given.get('topic_prefix', '')}{APP_ID}",
        min_length=1,
        description="Consumer group of the workers, and the owner of the tables; unset: the topics' prefix and "
        "`tapereader`.",
    )
    overnight_from: date | None = Field(
        None,
        description="First trading day (trade date) that begins on the evening before, at 20:00 ET, with an overnight "
        "session, such as 2026-12-07; unset: days begin at 04:00 ET. From the environment only.",
    )
    publish_interval_ms: int = Field(
        1000, ge=250, le=60_000, description="Least time between two publications of a board."
    )
    trade_windows_interval_s: float = Field(
        5.0, ge=0.1, le=3600, description="Time between two publications of the trade windows' statistics."
    )
    alert_cooldown_s: float = Field(
        60.0, ge=0, le=86_400, description="A symbol's alerts of new highs are this far apart, as are those of lows."
    )
    test_symbols: bool = Field(
        False, description="Have the exchanges' test symbols (ZVZZT) in boards, scans and alerts like others."
    )
    halting_codes: dict[int, str] = Field(
        dict(HaltCodes().halting), description='LULD indicators that halt a symbol, and why, as JSON: `{"17": "halt"}`.'
    )
    resuming_codes: Annotated[tuple[int, ...], NoDecode] = Field(
        tuple(sorted(HaltCodes().resuming)), description="LULD indicators that reopen a symbol, comma-separated."
    )
    analyzers: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Analyzers of your own to run, `module:attribute`, comma-separated."
    )
    group_instance_id: str | None = Field(
        None,
        min_length=1,
        description="A worker's own, lasting name: one that comes back under it within the session's time-out "
        "keeps its partitions, without a rebalance.",
    )
    session_timeout_ms: int = Field(
        6000, ge=1000, le=300_000, description="A worker that is silent this long has lost its partitions."
    )
    standbys: int = Field(
        0,
        ge=0,
        le=10,
        description="So many workers follow each partition's tables besides its owner, and take it over without "
        "reading them back. Each copy costs memory, and the reading of every change.",
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
    massive_delayed_feed: str = Field(
        "delayed.massive.com", description="Host of the WebSocket feed whose data is 15 minutes late."
    )
    massive_delayed_fallback: bool = Field(
        False, description="Take the delayed host where the key's plan has no real-time data, instead of ending."
    )
    massive_market: str = Field("stocks", description="Market of the feed.")
    massive_rest_url: str = Field("https://api.massive.com", description="Base URL of the REST API.")
    massive_secure: bool = Field(True, description="Use TLS on the WebSocket.")
    subscriptions: Annotated[tuple[str, ...], NoDecode] = Field(
        ("A.*", "T.*", "Q.*", "LULD.*"), description="Channels to subscribe to, comma-separated."
    )
    market_poll_s: float = Field(60.0, gt=0, description="While the market is closed, ask for its status this often.")
    silence_timeout_s: float = Field(30.0, gt=0, description="A connection without an event for this long is replaced.")
    producer_buffer_events: int = Field(500_000, ge=1000, description="Events held while Kafka is slow.")

    # Reference data: MarketDataCache and Massive's REST
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

    # The simulator
    symbols: int = Field(500, ge=1, le=12_000, description="Symbols in the simulated market.")
    seed: int = Field(1, description="Seed of the simulated market.")
    speed: float = Field(1.0, gt=0, le=3600, description="Speed of the simulated market's clock.")
    market_start: str = Field(
        "09:25",
        pattern=r"^(((Mon|Tue|Wed|Thu|Fri|Sat|Sun) )?\d\d:\d\d|\d{4}-\d\d-\d\dT\d\d:\d\d)$",
        description="Time (ET) at which the simulated market starts: `09:25` of the last trading day, `Fri 19:58` of "
        "the last Friday, or `2026-11-25T12:58`.",
    )
    simulator_nights: bool | None = Field(
        None, description="Let nights, weekends and holidays pass as they are; unset: where the start names a weekday."
    )
    simulator_plan: Plan = Field(
        Plan.ADVANCED, description="Plan of the simulated account: which channels and REST endpoints it has."
    )
    simulator_late_bars: bool = Field(
        True, description="Send bars again when a print comes late that belongs to them, as the vendor does."
    )
    simulator_test_symbols: bool = Field(True, description="Have the exchanges' test symbols (ZVZZT) on the tape.")
    simulator_otc: bool = Field(False, description="Let some simulated companies trade over the counter (`otc`).")
    simulator_overnight: bool = Field(
        False, description="Let a simulated trading day begin at 21:00 ET of the evening before."
    )
    simulator_clock_file: Path | None = Field(
        None, description="File that keeps the simulated market's time; a later start goes on there. `up` sets it."
    )
    events_per_s: float = Field(2000.0, gt=0, description="Mean rate of simulated events in the regular session.")

    # The gateway
    gateway_api_key: SecretStr | None = Field(
        None, description="Key that clients of the gateway must send; unset: open."
    )
    gateway_api_keys: SecretStr | None = Field(
        None, description="More keys, each with a role: `viewer:KEY,operator:KEY`; an operator may control processes."
    )
    gateway_jwt_secret: SecretStr | None = Field(
        None, description="Secret by which tokens (JWT, HS256) of clients are checked."
    )
    gateway_jwt_jwks_url: str | None = Field(None, description="URL of the keys by which tokens are checked (JWKS).")
    gateway_jwt_issuer: str | None = Field(None, description="Issuer that tokens must name; unset: any.")
    gateway_jwt_audience: str | None = Field(None, description="Audience that tokens must name; unset: any.")
    gateway_jwt_leeway_s: float = Field(30.0, ge=0, le=600, description="How far a token's clock may be off.")
    gateway_jwt_role_claim: str = Field(
        "role", description="Claim that names the role (text or list, `a.b` for one within another); none: viewer."
    )
    gateway_session_secret: SecretStr | None = Field(
        None, description="Secret (32 characters or more) that signs sessions; unset: one for each start."
    )
    gateway_oidc_issuer: str | None = Field(
        None, description="OpenID Connect provider that people sign in at, its issuer's URL; unset: no sign-in."
    )
    gateway_oidc_client_id: str | None = Field(None, description="The gateway's client id at the provider.")
    gateway_oidc_client_secret: SecretStr | None = Field(None, description="The gateway's client secret there.")
    gateway_oidc_scope: str = Field("openid profile email", description="What the provider is asked for.")
    gateway_oidc_role_claim: str = Field("role", description="Claim of the ID token that names the role.")
    gateway_public_url: str | None = Field(
        None, description="Address by which browsers reach the gateway; unset: the one that they name."
    )
    gateway_control_url: str | None = Field(
        None, description="URL of the producer's HTTP control; unset: its port on this machine."
    )
    gateway_session_s: float = Field(43_200.0, gt=0, description="A person's sign-in is good for this long.")
    gateway_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Names by which an open gateway may be called beside this machine's, its address and its public "
        "URL, comma-separated; others are refused (DNS rebinding).",
    )
    gateway_open: bool = Field(False, description="Let the gateway be open to a network, without a key.")
    gateway_max_clients: int = Field(2000, ge=1, description="WebSocket clients of one gateway process.")
    gateway_max_subscriptions: int = Field(500, ge=1, description="Subscriptions of one WebSocket client.")
    gateway_tape_mib: int = Field(
        256, ge=16, description="Memory (MiB) for the trades of all symbols while someone asks for one's."
    )
    gateway_max_scans: int = Field(200, ge=1, description="Different scans (filter and options) of one process.")
    gateway_slow_client_s: float = Field(10.0, gt=0, description="A client that takes nothing for this long is closed.")

    # Telemetry
    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="Least level that is logged.")
    log_json: bool | None = Field(None, description="Log JSON; unset: readable at a terminal, JSON otherwise.")
    worker_http_host: str = Field("127.0.0.1", description="Address of a worker's `/metrics` and health.")
    worker_http_port: int = Field(
        0, ge=0, le=65535, description="Port of a worker's `/metrics` and health; 0: a free one, named in its log."
    )
    otlp_endpoint: str | None = Field(
        None, description="OpenTelemetry collector that gets metrics and traces, `http://collector:4318`; unset: none."
    )
    otlp_interval_s: float = Field(15.0, gt=0, description="Time between two exports of metrics to the collector.")
    trace_sample_ratio: float = Field(
        0.0, ge=0, le=1, description="Share of the producer's rounds that are traced, such as 0.01; 0: no tracing."
    )
    trace_file: Path | None = Field(None, description="File to which spans are appended as JSON lines; unset: none.")

    @field_validator("topic_prefix")
    @classmethod
    def _of_the_environment(cls, value: str) -> str:
        if value != topic_prefix():
            raise ValueError(f"it is taken from the environment only, where it is {topic_prefix()!r}")
        return value

    @field_validator("overnight_from")
    @classmethod
    def _of_the_environment_too(cls, value: date | None) -> date | None:
        if value != overnight_from():
            raise ValueError(f"it is taken from the environment only, where it is {overnight_from()}")
        return value

    @field_validator("subscriptions", "resuming_codes", "analyzers", "gateway_hosts", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("subscriptions")
    @classmethod
    def _known_channels(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if (wrong := wrong_channel(value)) is not None:
            raise ValueError(wrong)
        return value

    @property
    def bootstrap_servers(self) -> str:
        """Kafka's address: yours, else that of the one that `up` starts."""
        return self.kafka_bootstrap_servers or f"127.0.0.1:{self.kafka_port}"

    @property
    def redis_address(self) -> str:
        """Redis's URL: yours, else that of the one that `up` starts."""
        return self.redis_url or local_redis_url(self.data_dir / "redis", self.redis_port)

    def api_key(self) -> str | None:
        """The vendor's key from its variable, else from the secret file, else None."""
        if self.massive_api_key is not None:
            return self.massive_api_key.get_secret_value()
        if self.massive_api_key_file is not None:
            return self.massive_api_key_file.read_text(encoding="utf-8").strip()
        return None

    def as_environment(self) -> dict[str, str]:
        """The settings as environment variables that give the same ones again, secrets in clear."""
        values: dict[str, str] = {}
        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, SecretStr):
                value = value.get_secret_value()
            if isinstance(value, tuple):
                value = ",".join(map(str, value))
            elif isinstance(value, dict):
                value = json.dumps(value)
            if value is not None:
                values[f"{PREFIX}{name.upper()}"] = str(value)
        return values

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
            shown = "(hidden)" if any(word in name for word in ("key", "password", "secret")) else repr(first["input"])
            raise SettingsError(f"{PREFIX}{name.upper()} = {shown}: {first['msg']}") from None
