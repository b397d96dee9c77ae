"""An OpenID Connect provider over real HTTP: discovery, code flow with PKCE, signed ID tokens, keys."""

import base64
import hashlib
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import BasicAuth, web
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

CLIENT_ID, CLIENT_SECRET = "tapereader", "the-clients-secret"


class Provider:
    """Signs everybody in as the person of `claims`, at once."""

    def __init__(self) -> None:
        self.claims: dict[str, Any] = {"sub": "ann", "name": "Ann Example", "role": "operator"}
        self.key = RSAKey.generate_key(2048, {"kid": "one"})
        self.signed_by = self.key
        self.issuer = ""
        #: What the token endpoint answers instead of a token, where it is set.
        self.token_answer: web.Response | None = None
        self._codes: dict[str, dict[str, str]] = {}

    @asynccontextmanager
    async def served(self) -> AsyncIterator["Provider"]:
        """Serve it on a port of its own."""
        app = web.Application()
        app.add_routes(
            [
                web.get("/.well-known/openid-configuration", self._discovery),
                web.get("/authorize", self._authorize),
                web.post("/token", self._token),
                web.get("/keys", self._keys),
            ]
        )
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            self._runner = runner
            self.issuer = f"http://127.0.0.1:{runner.addresses[0][1]}"
            yield self
        finally:
            await runner.cleanup()

    async def end(self) -> None:
        """Serve no more, while the others go on."""
        await self._runner.cleanup()

    async def _discovery(self, _: web.Request) -> web.Response:
        ends = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "keys"}
        return web.json_response(
            {"issuer": self.issuer, "response_types_supported": ["code"], "subject_types_supported": ["public"],
             "id_token_signing_alg_values_supported": ["RS256"], "code_challenge_methods_supported": ["S256"]}
            | {name: f"{self.issuer}/{path}" for name, path in ends.items()}
        )  # fmt: skip

    async def _authorize(self, request: web.Request) -> web.Response:
        asked = dict(request.query)
        assert (asked["client_id"], asked["response_type"]) == (CLIENT_ID, "code")
        assert asked["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe()
        self._codes[code] = asked
        raise web.HTTPFound(f"{asked['redirect_uri']}?code={code}&state={asked['state']}")

    async def _token(self, request: web.Request) -> web.Response:
        if self.token_answer is not None:
            return self.token_answer
        form = await request.post()
        client = BasicAuth.decode(request.headers["Authorization"])
        asked = self._codes.pop(str(form["code"]), None)
        verifier = hashlib.sha256(str(form["code_verifier"]).encode()).digest()
        right = (
            asked is not None
            and (client.login, client.password) == (CLIENT_ID, CLIENT_SECRET)
            and asked["redirect_uri"] == form["redirect_uri"]
            and asked["code_challenge"] == base64.urlsafe_b64encode(verifier).rstrip(b"=").decode()
        )
        if not right or asked is None:
            return web.json_response({"error": "invalid_grant"}, status=400)
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": CLIENT_ID, "iat": now, "exp": now + 300, "nonce": asked["nonce"]}
        token = jwt.encode({"alg": "RS256", "kid": "one"}, claims | self.claims, self.signed_by)
        return web.json_response({"access_token": "x", "token_type": "Bearer", "expires_in": 300, "id_token": token})

    async def _keys(self, _: web.Request) -> web.Response:
        return web.json_response(KeySet([self.key]).as_dict())
