"""Kafka, Redis and what workers do with them."""

from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field, SecretStr
from pydantic_settings import NoDecode

from app.market.halts import HaltCodes
from app.settings.environment import APP_ID, named


class StoresSettings(BaseModel):
    """Kafka, Redis and what workers do with them."""

    kafka_bootstrap_servers: str | None = Field(
        None,
        validation_alias=named("kafka_bootstrap_servers", "KAFKA_BOOTSTRAP_SERVERS"),
        description="A Kafka of your own, `host:port,host:port`; unset: `up` starts one.",
    )
    redis_url: str | None = Field(
        None,
        validation_alias=named("redis_url", "REDIS_URL"),
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
