"""The public keys of an issuer of tokens (JWKS, RFC 7517), fetched when a token asks for one that is not known."""

import asyncio
import json
from collections.abc import Callable

import httpx
import structlog
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from app import clock
from app.gateway.access.identity import SignInRefused

log = structlog.get_logger(__name__)

#: Keys are asked for again after this long, so that one that was withdrawn is not taken for ever.
KEPT_S = 3600.0
#: A key that is not known is looked for this often at most, whatever tokens come.
RETRY_S = 10.0
TIMEOUT_S = 5.0
MAX_BYTES = 256 * 1024


class RemoteKeys:
    """The keys at a URL; `client` makes the HTTP client of each request.

    While the URL cannot be reached the keys that are known stay good.
    """

    def __init__(self, url: str, client: Callable[[], httpx.AsyncClient] | None = None) -> None:
        self._url = url
        self._client = client or (lambda: httpx.AsyncClient(timeout=TIMEOUT_S))
        self._keys: KeySet | None = None
        self._fetched_s = self._tried_s = float("-inf")
        self._lock = asyncio.Lock()

    async def holding(self, kid: str | None) -> KeySet:
        """The keys, with the one of this id where the issuer has it.

        Raises `SignInRefused` (`keys_unavailable`) where there are none to be had now.
        """
        if self._stale(kid):
            async with self._lock:
                # Who waited for another's request finds its answer.
                if self._stale(kid):
                    await self._fetch()
        if self._keys is None:
            raise SignInRefused("keys_unavailable", "the keys that tokens are checked by cannot be fetched now")
        return self._keys

    def _stale(self, kid: str | None) -> bool:
        now_s = clock.monotonic_s()
        if now_s - self._tried_s < RETRY_S:
            return False
        if self._keys is None or now_s - self._fetched_s > KEPT_S:
            return True
        return kid is not None and all(key.kid != kid for key in self._keys)

    async def _fetch(self) -> None:
        self._tried_s = clock.monotonic_s()
        try:
            async with self._client() as http, asyncio.timeout(TIMEOUT_S):
                response = await http.get(self._url)
                response.raise_for_status()
                if len(response.content) > MAX_BYTES:
                    raise ValueError(f"expected at most {MAX_BYTES} bytes of keys, was {len(response.content)}")
                self._keys = KeySet.import_key_set(json.loads(response.content))
        except (httpx.HTTPError, TimeoutError, ValueError, RecursionError, KeyError, TypeError, JoseError) as error:
            log.warning("token_keys_not_fetched", url=self._url, error=repr(error), kept=self._keys is not None)
            return
        self._fetched_s = clock.monotonic_s()
        log.info("token_keys_fetched", url=self._url, keys=len(self._keys.keys))
