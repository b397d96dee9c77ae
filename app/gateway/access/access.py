"""Who may do what: anyone in open mode, else who has an API key, a token or a session."""

import hmac
import secrets
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from app import clock
from app.errors import SettingsError
from app.gateway.access.identity import Identity, Role, SignInRefused
from app.gateway.access.secret_check import checked_secret
from app.gateway.access.tokens import MIN_SECRET_BYTES, TokenCheck
from app.settings import Settings

#: What an API key has to have at least: 16 characters of base64 are 96 bits, which nobody guesses over a network.
MIN_KEY_CHARACTERS = 16


def is_loopback(host: str) -> bool:
    """Whether a host's name or address is this machine's own."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


class Access:
    """The gateway's rule of who may do what.

    Raises `SettingsError` where it would be open to a network unasked, or a secret is none: empty, too short, or with
    space or a line's end around it.
    """

    def __init__(self, settings: Settings) -> None:
        self._hosts = _hosts(settings)
        self._keys = _keys(settings)
        self.session_secret = _session_secret(settings)
        self.tokens = TokenCheck(settings, self.session_secret)
        self.login = settings.gateway_oidc_issuer is not None
        self.open = not self._keys and not self.tokens.configured and not self.login
        local = is_loopback(settings.http_host)
        # Whoever can start programs on this machine can control them anyway; a network cannot.
        self._anyone = Identity("anyone", Role.OPERATOR if local and not settings.gateway_open else Role.VIEWER)
        if self.open and not settings.gateway_open and not local:
            raise SettingsError(
                f"the gateway would be open to everyone who reaches {settings.http_host}: "
                "set TAPEREADER_GATEWAY_API_KEY, or TAPEREADER_GATEWAY_OPEN=true where that is meant"
            )

    def of_key(self, key: object) -> Identity:
        """Whose an API key is; in open mode any is anyone's. Raises `SignInRefused`."""
        if self.open:
            return self._anyone
        given = key.encode() if isinstance(key, str) else b""
        # All keys are compared, so that the time taken tells nothing of which is nearly right.
        found = [identity for known, identity in self._keys if hmac.compare_digest(given, known)]
        if not found:
            raise SignInRefused("invalid_key", "the API key is not valid")
        return found[0]

    async def of_token(self, token: str) -> Identity:
        """Whose a token is. Raises `SignInRefused`."""
        return self._anyone if self.open else await self.tokens.identify(token)

    async def of_request(self, headers: Mapping[str, str], session: Mapping[str, Any] | None = None) -> Identity:
        """Who makes a request: by `Authorization: Bearer` (a key or a token), `X-API-Key`, or a session's cookie.

        A cookie goes with whatever a browser is made to ask for: it counts only for pages of the gateway's
        own. Raises `SignInRefused`.
        """
        if self.open:
            return self._anyone
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return await self.of_bearer(bearer.strip())
        if "x-api-key" in headers:
            return self.of_key(headers["x-api-key"])
        signed_in = _of_session(session or {})
        if signed_in is not None and self._same_origin(headers):
            return signed_in
        raise SignInRefused(
            "no_credentials", "expected `Authorization: Bearer KEY-OR-TOKEN`, `X-API-Key: KEY`, or a session"
        )

    async def of_bearer(self, credential: str) -> Identity:
        """Whose a key or a token is. Raises `SignInRefused`."""
        if credential.count(".") == 2:
            try:
                return self.of_key(credential)
            except SignInRefused:
                return await self.of_token(credential)
        return self.of_key(credential)

    def host_allowed(self, host: str) -> bool:
        """Whether a request names this gateway (its `Host`).

        In open mode a page of another site could be let resolve its own name to this machine, and be the same origin
        then (DNS rebinding). It cannot have another name than its own: names of this machine, those that the settings
        give, and plain addresses are taken. Otherwise the credentials decide.
        """
        if not self.open:
            return True
        try:
            name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
        except ValueError:
            return False
        return is_loopback(name) or name in self._hosts or _is_address(name)

    def origin_allowed(self, headers: Mapping[str, str]) -> bool:
        """Whether a browser's page may connect.

        In open mode the page itself is all that stands for the user, so that it must come from this
        machine or from the gateway; otherwise the credentials decide, which another site does not have.
        """
        origin = headers.get("origin")
        if origin is None or not self.open:
            return True
        name = urlsplit(origin).hostname or ""
        return is_loopback(name) or name == urlsplit(f"//{headers.get('host', '')}").hostname

    def _same_origin(self, headers: Mapping[str, str]) -> bool:
        origin = headers.get("origin")
        return origin is None or urlsplit(origin).netloc == headers.get("host", "")


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _hosts(settings: Settings) -> frozenset[str]:
    public = urlsplit(settings.gateway_public_url or "").hostname
    return frozenset(name.lower() for name in (settings.http_host, public, *settings.gateway_hosts) if name)


def _of_session(session: Mapping[str, Any]) -> Identity | None:
    """Who a session's cookie stands for, None where it is nobody's or has ended."""
    subject, role, expires_s = session.get("subject"), session.get("role"), session.get("expires_s")
    if not isinstance(subject, str) or not isinstance(expires_s, (int, float)) or expires_s <= clock.wall_s():
        return None
    return Identity(subject, Role.OPERATOR if role == Role.OPERATOR.label else Role.VIEWER, float(expires_s))


def _keys(settings: Settings) -> list[tuple[bytes, Identity]]:
    keys = []
    if settings.gateway_api_key is not None:
        key = checked_secret("TAPEREADER_GATEWAY_API_KEY", settings.gateway_api_key, MIN_KEY_CHARACTERS)
        keys.append((key.encode(), Identity("api-key", Role.VIEWER)))
    several = settings.gateway_api_keys
    for number, entry in enumerate(several.get_secret_value().split(",") if several is not None else [], 1):
        role, _, key = entry.lstrip(" ").partition(":")
        if role not in ("viewer", "operator") or not key:
            raise SettingsError(
                f"TAPEREADER_GATEWAY_API_KEYS: entry {number} is not ROLE:KEY with the role viewer or operator"
            )
        key = checked_secret(f"TAPEREADER_GATEWAY_API_KEYS, entry {number}", SecretStr(key), MIN_KEY_CHARACTERS)
        keys.append((key.encode(), Identity(f"api-key-{number}", Role[role.upper()])))
    return keys


def _session_secret(settings: Settings) -> bytes:
    secret = settings.gateway_session_secret
    if secret is None:
        return secrets.token_bytes(MIN_SECRET_BYTES)
    return checked_secret("TAPEREADER_GATEWAY_SESSION_SECRET", secret, MIN_SECRET_BYTES).encode()
