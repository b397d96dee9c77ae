"""Every setting, once: environment variable, type, default and meaning.

Each field is read from `TAPEREADER_<NAME>`; the few that have a name of their own in the field
(`KAFKA_BOOTSTRAP_SERVERS`, `REDIS_URL`, `MASSIVE_API_KEY`) are read from that as well. Command
line switches override the environment. The fields stand by what they are for, in a module each.
"""

import json
import os
from datetime import date
from typing import Any, Self

from pydantic import SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.errors import SettingsError
from app.settings.environment import APP_ID, PREFIX, overnight_from, topic_prefix
from app.settings.feed import FeedSettings, Source, wrong_channel
from app.settings.gateway import GatewaySettings
from app.settings.local_redis import LOCAL_REDIS_PASSWORD_FILE, local_redis_password, local_redis_url
from app.settings.machine import MachineSettings
from app.settings.reference import ReferenceSettings
from app.settings.simulator import Plan, SimulatorSettings
from app.settings.stores import StoresSettings
from app.settings.telemetry import TelemetrySettings

__all__ = [
    "APP_ID",
    "LOCAL_REDIS_PASSWORD_FILE",
    "PREFIX",
    "Plan",
    "Settings",
    "Source",
    "local_redis_password",
    "local_redis_url",
    "overnight_from",
    "topic_prefix",
    "wrong_channel",
]


class Settings(
    # pydantic has the fields of the last one first: `tapereader config doc` begins with what is of one machine.
    TelemetrySettings,
    GatewaySettings,
    SimulatorSettings,
    ReferenceSettings,
    FeedSettings,
    StoresSettings,
    MachineSettings,
    BaseSettings,
):
    """The platform's settings; frozen, validated when it is made.

    Raises `SettingsError` through `Settings.load` when a value is wrong, naming the setting.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="forbid", populate_by_name=True, hide_input_in_errors=False
    )

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
