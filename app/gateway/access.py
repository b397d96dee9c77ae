"""Who may read: anyone in open mode, else whoever has the API key."""

import hmac
from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

from app.errors import SettingsError
from app.settings import Settings


def is_loopback(host: str) -> bool:
    """Whether a host's name or address is this machine's own."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


class Access:
    """The gateway's rule of who may read. Raises `SettingsError` where it would be open to a network unasked."""

    def __init__(self, settings: Settings) -> None:
        key = settings.gateway_api_key
        self._key = key.get_secret_value().encode() if key is not None else None
        if self._key is None and not settings.gateway_open and not is_loopback(settings.http_host):
            raise SettingsError(
                f"the gateway would be open to everyone who reaches {settings.http_host}: "
                "set TAPEREADER_GATEWAY_API_KEY, or TAPEREADER_GATEWAY_OPEN=true where that is meant"
            )

    @property
    def open(self) -> bool:
        """Whether no key is asked for."""
        return self._key is None

    def valid(self, key: object) -> bool:
        """Whether a key is the gateway's; any is in open mode."""
        if self._key is None:
            return True
        return isinstance(key, str) and hmac.compare_digest(key.encode(), self._key)

    def headers_valid(self, headers: Mapping[str, str]) -> bool:
        """Whether a request's headers (`Authorization: Bearer`, `X-API-Key`) carry the key."""
        scheme, _, token = headers.get("authorization", "").partition(" ")
        return self.valid(token.strip() if scheme.lower() == "bearer" else headers.get("x-api-key"))

    def origin_allowed(self, headers: Mapping[str, str]) -> bool:
        """Whether a browser's page may connect.

        In open mode the page itself is all that stands for the user, so that it must come from this
        machine or from the gateway; with a key the key decides.
        """
        origin = headers.get("origin")
        if origin is None or self._key is not None:
            return True
        name = urlsplit(origin).hostname or ""
        return is_loopback(name) or name == urlsplit(f"//{headers.get('host', '')}").hostname
