"""How to reach Kafka: addresses, TLS, who we are. One place for every client of ours and for Faust's.

AIOKafkaConsumer(**KafkaAccess.of(settings).options("record"))
"""

import asyncio
import ssl
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from aiokafka.abc import AbstractTokenProvider
from pydantic import SecretStr

from app import clock
from app.errors import SettingsError
from app.settings import Settings

#: A token that lives no longer than this is replaced (s).
TOKEN_LEEWAY_S = 30

#: A token endpoint that does not answer within this time has failed (s).
TOKEN_TIMEOUT_S = 10.0

#: How all that we write is compressed. aiokafka writes lz4 at its slowest level: 71 MB/s and a ratio of 3.3 on a
#: flush of 700 rows, a quarter of a busy worker's time; zstd does 477 MB/s and 4.9.
COMPRESSION = "zstd"


@dataclass(frozen=True, slots=True)
class KafkaAccess:
    """Where Kafka is and how to log in there; made by `of`."""

    bootstrap_servers: str
    client_id: str = "tapereader"
    security_protocol: str = "PLAINTEXT"
    mechanism: str | None = None
    username: str | None = None
    password: str | None = None
    tls: ssl.SSLContext | None = None
    tokens: AbstractTokenProvider | None = None

    @classmethod
    def of(cls, given: "Settings | KafkaAccess | str") -> "KafkaAccess":
        """The access that settings describe; a plain address is one without TLS and login.

        Raises `SettingsError`: a setting is missing or a file cannot be read.
        """
        if isinstance(given, KafkaAccess):
            return given
        if isinstance(given, str):
            return cls(given)
        return _from_settings(given)

    def options(self, role: str | None = None) -> dict[str, Any]:
        """Arguments of any client of aiokafka's; `role` goes into the client's id."""
        options: dict[str, Any] = {
            "bootstrap_servers": self.bootstrap_servers,
            "client_id": self.client_id if role is None else f"{self.client_id}-{role}",
            "security_protocol": self.security_protocol,
        }
        if self.tls is not None:
            options["ssl_context"] = self.tls
        if self.mechanism is not None:
            options["sasl_mechanism"] = self.mechanism
        if self.tokens is not None:
            options["sasl_oauth_token_provider"] = self.tokens
        elif self.mechanism is not None:
            options |= {"sasl_plain_username": self.username, "sasl_plain_password": self.password}
        return options

    def faust_credentials(self) -> Any:
        """The same as Faust takes it in `broker_credentials`; None where there is nothing to say."""
        from faust import auth

        if self.tokens is not None:
            return auth.OAuthCredentials(oauth_cb=self.tokens, ssl_context=self.tls)
        if self.mechanism is not None:
            return auth.SASLCredentials(
                username=self.username, password=self.password, mechanism=self.mechanism, ssl_context=self.tls
            )
        return None if self.tls is None else auth.SSLCredentials(self.tls)


#: What functions take that open a client.
Brokers = KafkaAccess | str


class FileTokens(AbstractTokenProvider):  # type: ignore[misc]
    """Tokens from a file that someone else keeps fresh, such as Kubernetes' projected token; read each time."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def token(self) -> str:
        """The token as the file has it now. Raises `OSError`."""
        return (await asyncio.to_thread(self._path.read_text, encoding="utf-8")).strip()


class EndpointTokens(AbstractTokenProvider):  # type: ignore[misc]
    """Tokens of an OAuth 2.0 token endpoint (client credentials, RFC 6749, section 4.4), kept while they live.

    Faust's consumer has an event loop of its own in another thread, so it is asked for in threads.
    """

    def __init__(self, url: str, client_id: str, client_secret: str, scope: str | None) -> None:
        self._url, self._client_id, self._client_secret, self._scope = url, client_id, client_secret, scope
        self._token, self._until_s = "", 0.0
        self._lock = threading.Lock()

    async def token(self) -> str:
        """A token that is good for some time. Raises httpx's errors: there is none to be had."""
        return await asyncio.to_thread(self._current)

    def _current(self) -> str:
        with self._lock:
            now_s = clock.monotonic_s()
            if now_s >= self._until_s:
                form = {"grant_type": "client_credentials"} | ({"scope": self._scope} if self._scope else {})
                login = (self._client_id, self._client_secret)
                answer = httpx.post(self._url, data=form, auth=login, timeout=TOKEN_TIMEOUT_S).raise_for_status()
                found = answer.json()
                self._token = str(found["access_token"])
                self._until_s = now_s + max(float(found.get("expires_in", 300)) - TOKEN_LEEWAY_S, 0.0)
            return self._token


def _from_settings(settings: Settings) -> KafkaAccess:
    protocol = settings.kafka_security_protocol
    username = password = mechanism = tokens = None
    if protocol.startswith("SASL"):
        mechanism = settings.kafka_sasl_mechanism
        if mechanism == "OAUTHBEARER":
            tokens = _tokens(settings)
        else:
            username = settings.kafka_username
            password = _secret("kafka_password", settings.kafka_password, settings.kafka_password_file)
            if not username or not password:
                missing = "PASSWORD" if username else "USERNAME"
                raise SettingsError(
                    f"TAPEREADER_KAFKA_{missing} is not set: SASL {mechanism} needs a user and a password "
                    "(or TAPEREADER_KAFKA_PASSWORD_FILE)"
                )
    return KafkaAccess(
        settings.bootstrap_servers,
        settings.kafka_client_id,
        protocol,
        mechanism,
        username,
        password,
        _tls(settings) if protocol.endswith("SSL") else None,
        tokens,
    )


def _tokens(settings: Settings) -> AbstractTokenProvider:
    if settings.kafka_oauth_token_file is not None:
        return FileTokens(settings.kafka_oauth_token_file)
    secret = _secret(
        "kafka_oauth_client_secret", settings.kafka_oauth_client_secret, settings.kafka_oauth_client_secret_file
    )
    if not settings.kafka_oauth_token_url or not settings.kafka_oauth_client_id or not secret:
        raise SettingsError(
            "SASL OAUTHBEARER needs TAPEREADER_KAFKA_OAUTH_TOKEN_FILE, or TAPEREADER_KAFKA_OAUTH_TOKEN_URL, "
            "TAPEREADER_KAFKA_OAUTH_CLIENT_ID and TAPEREADER_KAFKA_OAUTH_CLIENT_SECRET (or …_SECRET_FILE)"
        )
    return EndpointTokens(
        settings.kafka_oauth_token_url, settings.kafka_oauth_client_id, secret, settings.kafka_oauth_scope
    )


def _secret(name: str, value: SecretStr | None, file: Path | None) -> str | None:
    if value is not None:
        return value.get_secret_value()
    if file is None:
        return None
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SettingsError(f"TAPEREADER_{name.upper()}_FILE = {file}: {error.strerror}") from error


def _tls(settings: Settings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(
            cafile=None if settings.kafka_tls_ca_file is None else str(settings.kafka_tls_ca_file)
        )
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(
            f"TAPEREADER_KAFKA_TLS_CA_FILE = {settings.kafka_tls_ca_file}: cannot be used: {error}"
        ) from error
    context.check_hostname = settings.kafka_tls_check_hostname
    certificate, key = settings.kafka_tls_certificate_file, settings.kafka_tls_key_file
    if certificate is not None:
        password = _secret("kafka_tls_key_password", settings.kafka_tls_key_password, None)
        try:
            context.load_cert_chain(certificate, key, password)
        except (OSError, ssl.SSLError) as error:
            raise SettingsError(
                f"TAPEREADER_KAFKA_TLS_CERTIFICATE_FILE = {certificate}: cannot be used: {error}"
            ) from error
    return context
