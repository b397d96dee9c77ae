"""Tokens (JWT, RFC 7519) that programs sign in with, and the gateway's own for its page."""

from collections.abc import Mapping
from typing import Any

from joserfc import jwt
from joserfc.errors import (
    BadSignatureError,
    ExpiredTokenError,
    InvalidClaimError,
    InvalidKeyIdError,
    JoseError,
    MissingClaimError,
)
from joserfc.jwk import KeySet, OctKey
from joserfc.jws import extract_compact

from app import clock
from app.errors import SettingsError
from app.gateway.access.identity import Fault, Identity, Role, SignInRefused
from app.gateway.access.key_sets import RemoteKeys
from app.gateway.access.secret_check import checked_secret
from app.settings import Settings

#: Tokens signed with the shared secret, and with an issuer's keys: never one by the other's, and never `none`.
SECRET_ALGORITHMS = ("HS256", "HS384", "HS512")
PUBLIC_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
MAX_TOKEN_LENGTH = 16_384
#: A secret that signs has as many bytes as its signature at least (RFC 7518, 3.2).
MIN_SECRET_BYTES = 32

#: Issuer and audience of the gateway's own tokens.
OWN_ISSUER = OWN_AUDIENCE = "tapereader-gateway"
OWN_TOKEN_S = 300.0

_FAULTS: Mapping[str, Fault] = {"aud": "wrong_audience", "iss": "wrong_issuer", "nbf": "token_not_valid_yet"}


class TokenCheck:
    """Tells whose a token is, by the settings' secret, the settings' JWKS URL, or the gateway's own secret.

    Raises `SettingsError`: the secret is too short, or a JWKS URL has no audience.
    """

    def __init__(self, settings: Settings, own_secret: bytes) -> None:
        self._settings = settings
        self._own = OctKey.import_key(own_secret)
        secret = settings.gateway_jwt_secret
        self._secret = (
            None
            if secret is None
            else OctKey.import_key(checked_secret("TAPEREADER_GATEWAY_JWT_SECRET", secret, MIN_SECRET_BYTES))
        )
        url = settings.gateway_jwt_jwks_url
        if url is not None and not (settings.gateway_jwt_audience or "").strip():
            raise SettingsError(
                "TAPEREADER_GATEWAY_JWT_JWKS_URL is set: TAPEREADER_GATEWAY_JWT_AUDIENCE is needed, too; without it "
                "whatever the issuer signs for any other service would be taken here"
            )
        self._remote = None if url is None else RemoteKeys(url)

    @property
    def configured(self) -> bool:
        """Whether tokens of others are taken."""
        return self._secret is not None or self._remote is not None

    async def identify(self, token: str) -> Identity:
        """Whose a token is. Raises `SignInRefused` where it is not taken."""
        if len(token) > MAX_TOKEN_LENGTH:
            raise SignInRefused("not_a_token", f"expected a token of at most {MAX_TOKEN_LENGTH} characters")
        try:
            header = extract_compact(token.encode()).headers()
        except (JoseError, ValueError, RecursionError) as error:
            raise SignInRefused("not_a_token", "expected a signed JSON web token") from error
        algorithm, kid = str(header.get("alg")), header.get("kid")
        if kid == OWN_ISSUER:
            return self._checked(token, self._own, ("HS256",), OWN_ISSUER, OWN_AUDIENCE)
        issuer, audience = self._settings.gateway_jwt_issuer, self._settings.gateway_jwt_audience
        if self._secret is not None and algorithm in SECRET_ALGORITHMS:
            return self._checked(token, self._secret, SECRET_ALGORITHMS, issuer, audience)
        if self._remote is not None and algorithm in PUBLIC_ALGORITHMS:
            keys = await self._remote.holding(kid if isinstance(kid, str) else None)
            return self._checked(token, keys, PUBLIC_ALGORITHMS, issuer, audience)
        raise SignInRefused("bad_signature", f"a token signed by {algorithm[:20]!r} is not taken here")

    def issue(self, identity: Identity) -> tuple[str, float]:
        """A short-lived token of the gateway's own for someone who is signed in, and when it ends (Unix time)."""
        now_s = clock.wall_s()
        ends_s = now_s + OWN_TOKEN_S
        if identity.expires_s is not None:
            ends_s = min(ends_s, identity.expires_s)
        claims = {
            "iss": OWN_ISSUER, "aud": OWN_AUDIENCE, "sub": identity.subject, "iat": int(now_s), "exp": int(ends_s),
            self._settings.gateway_jwt_role_claim: identity.role.label,
        }  # fmt: skip
        return jwt.encode({"alg": "HS256", "kid": OWN_ISSUER}, claims, self._own), ends_s

    def _checked(
        self, token: str, key: OctKey | KeySet, algorithms: tuple[str, ...], issuer: str | None, audience: str | None
    ) -> Identity:
        wanted: dict[str, Any] = {"exp": {"essential": True}}
        if issuer is not None:
            wanted["iss"] = {"essential": True, "value": issuer}
        if audience is not None:
            wanted["aud"] = {"essential": True, "value": audience}
        leeway_s = 0 if issuer == OWN_ISSUER else round(self._settings.gateway_jwt_leeway_s)
        try:
            claims = jwt.decode(token, key, algorithms=list(algorithms)).claims
            jwt.JWTClaimsRegistry(now=lambda: int(clock.wall_s()), leeway=leeway_s, **wanted).validate(claims)
        except (JoseError, ValueError, RecursionError) as error:
            raise _refusal(error) from error
        role = role_of(claims, self._settings.gateway_jwt_role_claim)
        return Identity(str(claims.get("sub", "")), role, float(claims["exp"]) + leeway_s)


def role_of(claims: Mapping[str, Any], path: str) -> Role:
    """The role that a claim names: a text or a list of them, `a.b` stands for a claim within a claim."""
    value: Any = claims
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    named = value if isinstance(value, list) else [value]
    return Role.OPERATOR if Role.OPERATOR.label in named else Role.VIEWER


def _refusal(error: Exception) -> SignInRefused:
    match error:
        case ExpiredTokenError():
            return SignInRefused("expired_token", "the token has expired")
        case BadSignatureError():
            return SignInRefused("bad_signature", "the token's signature is not valid")
        case InvalidKeyIdError():
            return SignInRefused("unknown_key", "the token is signed by a key that its issuer does not have")
        case MissingClaimError():
            return SignInRefused("missing_claim", f"the token lacks a claim: {error.claim}")
        case InvalidClaimError():
            fault = _FAULTS.get(str(error.claim), "not_a_token")
            return SignInRefused(fault, f"the token's {error.claim} is not the one that is wanted here")
    return SignInRefused("not_a_token", "the token cannot be read")
