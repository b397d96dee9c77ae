"""Tokens that are taken, and why the others are not; an issuer's keys by real HTTP."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey, RSAKey

from app.gateway.access import key_sets
from app.gateway.access.identity import Identity, Role, SignInRefused
from app.gateway.access.tokens import OWN_ISSUER, TokenCheck, role_of
from app.settings import Settings

SECRET = "a secret that programs share with the gateway"
CLAIMS = {"iss": "https://issuer.example", "aud": ["other", "tapereader"], "sub": "bot-7"}


def check(**settings: Any) -> TokenCheck:
    named = {"gateway_jwt_issuer": CLAIMS["iss"], "gateway_jwt_audience": "tapereader", "gateway_jwt_leeway_s": 0}
    return TokenCheck(Settings.load(**(named | settings)), b"o" * 32)


def signed(claims: dict[str, Any], secret: str = SECRET, algorithm: str = "HS256") -> str:
    return jwt.encode({"alg": algorithm}, claims, OctKey.import_key(secret))


def claims(**changes: Any) -> dict[str, Any]:
    found = CLAIMS | {"exp": int(time.time()) + 60} | changes
    return {name: value for name, value in found.items() if value is not None}


async def fault(checker: TokenCheck, token: str) -> str:
    with pytest.raises(SignInRefused) as caught:
        await checker.identify(token)
    return caught.value.fault


async def test_a_good_token_is_its_subjects_until_it_expires() -> None:
    wanted = claims(role="operator")
    found = await check(gateway_jwt_secret=SECRET).identify(signed(wanted))
    assert found == Identity("bot-7", Role.OPERATOR, float(wanted["exp"]))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"exp": 1_000_000_000}, "expired_token"),
        ({"exp": None}, "missing_claim"),
        ({"exp": "tomorrow"}, "not_a_token"),
        ({"aud": "another"}, "wrong_audience"),
        ({"aud": None}, "missing_claim"),
        ({"iss": "https://evil.example"}, "wrong_issuer"),
        ({"iss": None}, "missing_claim"),
        ({"nbf": 4_000_000_000}, "token_not_valid_yet"),
    ],
)
async def test_a_token_with_a_wrong_claim_is_refused_with_its_fault(changes: dict[str, Any], expected: str) -> None:
    assert await fault(check(gateway_jwt_secret=SECRET), signed(claims(**changes))) == expected


async def test_leeway_is_granted_once() -> None:
    late = claims(exp=int(time.time()) - 10)
    assert (await check(gateway_jwt_secret=SECRET, gateway_jwt_leeway_s=30).identify(signed(late))).subject == "bot-7"
    assert await fault(check(gateway_jwt_secret=SECRET, gateway_jwt_leeway_s=5), signed(late)) == "expired_token"


async def test_unsigned_and_foreign_signatures_are_refused() -> None:
    checker = check(gateway_jwt_secret=SECRET)
    header, payload, signature = signed(claims()).split(".")
    none = "eyJhbGciOiJub25lIn0"  # {"alg":"none"}
    assert await fault(checker, f"{none}.{payload}.") == "bad_signature"
    assert await fault(checker, f"{none}.{payload}.{signature}") == "bad_signature"
    assert await fault(checker, signed(claims(), "another secret of the same length, or so")) == "bad_signature"
    other = signed(claims(role="operator")).split(".")[1]
    assert await fault(checker, f"{header}.{other}.{signature}") == "bad_signature"
    for junk in ("", "a.b.c", "…", "a" * 20_000, signed(claims())[:-30] + "\n"):
        assert await fault(checker, junk) in ("not_a_token", "bad_signature")


async def test_the_gateways_own_token_is_of_whom_it_was_issued_to() -> None:
    checker = check()
    token, ends_s = checker.issue(Identity("ann", Role.OPERATOR, time.time() + 100))
    assert ends_s <= time.time() + 100
    found = await checker.identify(token)
    assert (found.subject, found.role) == ("ann", Role.OPERATOR)
    other = TokenCheck(Settings.load(), b"p" * 32)
    assert await fault(other, token) == "bad_signature"
    forged = jwt.encode({"alg": "HS256", "kid": OWN_ISSUER}, claims(), OctKey.import_key(SECRET))
    assert await fault(check(gateway_jwt_secret=SECRET), forged) == "bad_signature"


@pytest.mark.parametrize(
    ("found", "path", "role"),
    [
        ({"role": "operator"}, "role", Role.OPERATOR),
        ({"role": "viewer"}, "role", Role.VIEWER),
        ({"roles": ["x", "operator"]}, "roles", Role.OPERATOR),
        ({"realm": {"roles": ["operator"]}}, "realm.roles", Role.OPERATOR),
        ({"realm": "operator"}, "realm.roles", Role.VIEWER),
        ({"role": {"operator": True}}, "role", Role.VIEWER),
        ({}, "role", Role.VIEWER),
    ],
)
def test_a_role_is_named_by_its_claim(found: dict[str, Any], path: str, role: Role) -> None:
    assert role_of(found, path) is role


@dataclass
class Issuer:
    """An issuer's keys at a real HTTP server."""

    keys: list[Any] = field(default_factory=list)
    asked: int = 0
    status: int = 200
    url: str = ""

    @asynccontextmanager
    async def served(self) -> AsyncIterator["Issuer"]:
        async def answer(_: web.Request) -> web.Response:
            self.asked += 1
            return web.json_response(KeySet(self.keys).as_dict(), status=self.status)

        app = web.Application()
        app.router.add_get("/keys", answer)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            self.url = f"http://127.0.0.1:{runner.addresses[0][1]}/keys"
            yield self
        finally:
            await runner.cleanup()

    def token(self, key: Any, algorithm: str, **changes: Any) -> str:
        return jwt.encode({"alg": algorithm, "kid": key.kid}, claims(**changes), key, algorithms=[algorithm])


def rsa(kid: str) -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": kid})


async def test_an_issuers_keys_are_fetched_once_and_again_for_a_new_one(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, curve = rsa("one"), rsa("two"), ECKey.generate_key("P-256", {"kid": "curve"})
    async with Issuer([first, curve]).served() as issuer:
        checker = check(gateway_jwt_jwks_url=issuer.url)
        for key, algorithm in ((first, "RS256"), (first, "PS256"), (curve, "ES256")):
            assert (await checker.identify(issuer.token(key, algorithm))).subject == "bot-7"
        assert issuer.asked == 1
        issuer.keys.append(second)
        assert await fault(checker, issuer.token(second, "RS256")) == "unknown_key"
        assert issuer.asked == 1, "unknown keys are not looked for more often than every ten seconds"
        monkeypatch.setattr(key_sets, "RETRY_S", 0.0)
        assert (await checker.identify(issuer.token(second, "RS256"))).subject == "bot-7"
        assert issuer.asked == 2
        issuer.status = 500
        assert await fault(checker, issuer.token(rsa("three"), "RS256")) == "unknown_key"
        assert (await checker.identify(issuer.token(first, "RS256"))).subject == "bot-7", "known keys stay good"


async def test_a_public_key_is_no_shared_secret() -> None:
    key = rsa("one")
    async with Issuer([key]).served() as issuer:
        checker = check(gateway_jwt_jwks_url=issuer.url)
        public = key.as_pem(private=False)

        def part(value: Any) -> str:
            return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

        text = f"{part({'alg': 'HS256', 'kid': 'one'})}.{part(claims())}"
        signature = base64.urlsafe_b64encode(hmac.digest(public, text.encode(), hashlib.sha256)).rstrip(b"=").decode()
        assert await fault(checker, f"{text}.{signature}") == "bad_signature"


async def test_without_the_issuer_nobody_is_told_that_the_token_is_wrong() -> None:
    checker = check(gateway_jwt_jwks_url="http://127.0.0.1:9/keys")
    assert await fault(checker, Issuer().token(rsa("one"), "RS256")) == "keys_unavailable"
